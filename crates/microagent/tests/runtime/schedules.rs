//! Periodic and cron tasks, in time that passes only when nothing else is left to do.

use std::time::{Duration, SystemTime};

use microagent::{Clock, blueprint::Overlap, prelude::*};
use microagent_testing::VirtualClock;
use tokio::time::{Instant, sleep};

use super::{Diary, pass};

const HOUR: Duration = Duration::from_secs(3600);

struct Ticking {
    diary: Diary,
    began: Instant,
}

impl Ticking {
    fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            began: Instant::now(),
        }
    }

    fn note(&self, what: &str) {
        self.diary
            .write(format!("{what} {}", self.began.elapsed().as_millis()));
    }
}

#[agent]
impl Ticking {
    #[periodic(period = 15, start_after = 3)]
    async fn tick(&self) {
        self.note("tick");
        sleep(Duration::from_millis(700)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_periodic_task_starts_after_its_delay_and_does_not_drift() {
    let diary = Diary::default();
    let agent = Agent::new(Ticking::new(&diary)).start().await.unwrap();
    pass(Duration::from_secs(50)).await;
    agent.stop().await.unwrap();
    assert_eq!(
        diary.read(),
        ["tick 3000", "tick 18000", "tick 33000", "tick 48000"]
    );
    pass(HOUR).await;
    assert_eq!(diary.len(), 4, "nothing fires after the stop");
}

struct Overlapping {
    diary: Diary,
    began: Instant,
}

impl Overlapping {
    fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            began: Instant::now(),
        }
    }

    async fn work(&self, what: &str) {
        self.diary
            .write(format!("{what} {}", self.began.elapsed().as_secs()));
        sleep(Duration::from_millis(2500)).await;
    }
}

#[agent]
impl Overlapping {
    #[periodic(period = 1, timeout = 10)]
    async fn allowed(&self) {
        self.work("allow").await;
    }

    #[periodic(period = 1, timeout = 10, overlap = skip)]
    async fn skipped(&self) {
        self.work("skip").await;
    }

    #[periodic(period = 1, timeout = 10, overlap = queue)]
    async fn queued(&self) {
        self.work("queue").await;
    }
}

#[tokio::test(start_paused = true)]
async fn line_51_overlap_is_allowed_skipped_or_queued() {
    let diary = Diary::default();
    let agent = Agent::new(Overlapping::new(&diary)).start().await.unwrap();
    sleep(Duration::from_millis(6900)).await;
    let dropped = |handler: &str| agent.info()["stats"][handler]["dropped"].clone();
    assert_eq!(dropped("allowed"), Value::Null);
    assert_eq!(dropped("skipped"), 4, "at 1, 2, 4 and 5");
    assert_eq!(dropped("queued"), 3, "1, 3 and 4 gave way to newer ones");
    agent.stop().await.unwrap();
    let of = |what: &str| -> Vec<String> {
        let lines = diary.read().into_iter();
        lines
            .filter_map(|line| line.strip_prefix(what).map(|at| at.trim().to_owned()))
            .collect()
    };
    assert_eq!(of("allow"), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(of("skip"), ["0", "3", "6"]);
    assert_eq!(of("queue"), ["0", "2", "5"]);
    assert_eq!(Overlap::default(), Overlap::Allow);
}

struct Hanging;

#[agent]
impl Hanging {
    #[periodic(period = 10, timeout = 0.5)]
    async fn hangs(&self) {
        std::future::pending::<()>().await;
    }

    #[periodic(period = 10)]
    fn panics(&self) {
        panic!("oh");
    }
}

#[tokio::test(start_paused = true)]
async fn line_52_a_task_that_hangs_or_panics_fires_again() {
    let agent = Agent::new(Hanging).start().await.unwrap();
    pass(Duration::from_secs(25)).await;
    assert_eq!(agent.info()["stats"]["hangs"]["timed_out"], 3);
    assert_eq!(agent.info()["stats"]["panics"]["panicked"], 3);
    agent.stop().await.unwrap();
}

struct Reporting {
    diary: Diary,
    clock: VirtualClock,
    began: SystemTime,
}

impl Reporting {
    fn note(&self, what: &str) {
        let passed = self.clock.now().duration_since(self.began).unwrap();
        self.diary
            .write(format!("{what} after {} min", passed.as_secs() / 60));
    }
}

#[agent]
impl Reporting {
    #[cron("0 */4 * * *", timeout = 5)]
    async fn report(&self) {
        self.note("report");
    }

    #[cron("30 2 * * *", tz = "Europe/Berlin")]
    fn nightly(&self) {
        self.note("nightly");
    }
}

#[tokio::test(start_paused = true)]
async fn cron_follows_the_clock_in_utc_and_in_zones() {
    let real = std::time::Instant::now();
    let (diary, clock) = (
        Diary::default(),
        VirtualClock::at("2026-03-28T20:30:00Z").unwrap(),
    );
    let began = clock.now();
    let reporting = Reporting {
        diary: diary.clone(),
        clock,
        began,
    };
    let agent = Agent::new(reporting).clock(clock).start().await.unwrap();
    pass(9 * HOUR).await;
    agent.stop().await.unwrap();
    // At 00:00 and 04:00 UTC; and in between at 01:00 UTC, when Berlin's clock skips from 02:00 to 03:00 and what falls into
    // the gap fires right after it.
    assert_eq!(
        diary.read(),
        [
            "report after 210 min",
            "nightly after 270 min",
            "report after 450 min"
        ]
    );
    assert!(
        real.elapsed() < Duration::from_secs(20),
        "the time was virtual"
    );
}
