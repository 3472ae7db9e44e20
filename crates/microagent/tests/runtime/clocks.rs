//! Schedules and a wall clock that steps, in virtual time. A test whose name begins with a line's number proves that line of
//! the failure contract.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use microagent::{
    Clock,
    blueprint::{Blueprint, PeriodicOptions},
    prelude::*,
};
use microagent_testing::VirtualClock;
use tokio::time::{Instant, sleep};

use tracing::Level;

use super::{Diary, log::Log, pass};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A clock that goes as tokio's time does and can be stepped; clones are one clock.
#[derive(Clone, Debug)]
pub(crate) struct SteppedClock {
    clock: VirtualClock,
    milliseconds: Arc<AtomicI64>,
}

impl SteppedClock {
    pub(crate) fn at(now: &str) -> Self {
        Self {
            clock: VirtualClock::at(now).unwrap(),
            milliseconds: Arc::default(),
        }
    }

    pub(crate) fn step(&self, milliseconds: i64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> SystemTime {
        let step = self.milliseconds.load(Ordering::Relaxed);
        let by = Duration::from_millis(step.unsigned_abs());
        if step < 0 {
            self.clock.now() - by
        } else {
            self.clock.now() + by
        }
    }
}

type Runs = Arc<Mutex<Vec<SystemTime>>>;

/// Writes down at what minute of its clock each run started.
struct Minutely {
    runs: Runs,
    clock: SteppedClock,
}

impl Minutely {
    /// One that lives, by a clock that is at this time now.
    async fn start(now: &str) -> (SteppedClock, Runs, RunningAgent<Self>) {
        let (clock, runs) = (SteppedClock::at(now), Runs::default());
        let agent = Agent::new(Self {
            runs: Arc::clone(&runs),
            clock: clock.clone(),
        });
        let agent = agent.clock(clock.clone()).start().await.unwrap();
        (clock, runs, agent)
    }
}

#[agent]
impl Minutely {
    #[cron("* * * * *")]
    async fn run(&self) {
        self.runs.lock().unwrap().push(self.clock.now());
    }
}

#[tokio::test(start_paused = true)]
async fn line_49_no_minute_fires_twice_whatever_small_steps_the_clock_makes() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (clock, runs, agent) = Minutely::start("2026-03-01T11:59:30Z").await;
        let began = clock.now();
        // Steps around the full minutes too, for a time of no full seconds goes by between two.
        for _ in 0..1000 {
            sleep(Duration::from_millis(random.u64(1..3000))).await;
            clock.step(random.i64(-2000..2000));
        }
        clock.step(2000);
        sleep(SECOND).await;
        let passed = clock.now().duration_since(began).unwrap() + 30 * SECOND;
        agent.stop().await.unwrap();
        let fired = runs.lock().unwrap().len() as u64;
        // Each minute that the clock came to; two of them at a time where it stepped over one are one.
        assert_eq!(fired, passed.as_secs() / 60, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn line_49_a_step_back_of_two_seconds_right_after_a_fire_is_no_second_fire() {
    let (clock, runs, agent) = Minutely::start("2026-03-01T11:59:59Z").await;
    pass(SECOND).await;
    assert_eq!(runs.lock().unwrap().len(), 1);
    clock.step(-2000);
    pass(30 * SECOND).await;
    assert_eq!(runs.lock().unwrap().len(), 1);
    pass(MINUTE).await;
    assert_eq!(runs.lock().unwrap().len(), 2);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn line_49_a_timer_that_wakes_early_waits_for_the_instant() {
    let (clock, runs, agent) = Minutely::start("2026-03-01T11:59:59Z").await;
    // The timer was set before; when it goes off the clock shows 5 ms less.
    clock.step(-5);
    pass(SECOND * 30).await;
    let runs = runs.lock().unwrap().clone();
    let noon = VirtualClock::at("2026-03-01T12:00:00Z").unwrap().now();
    assert_eq!(runs.len(), 1);
    assert!(runs[0] >= noon, "{:?} early", noon.duration_since(runs[0]));
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn line_50_what_was_slept_through_fires_once() {
    let (clock, runs, agent) = Minutely::start("2026-03-01T08:00:30Z").await;
    clock.step(8 * 3_600_000);
    pass(30 * SECOND).await;
    assert_eq!(runs.lock().unwrap().len(), 1, "480 instants are one");
    pass(2 * MINUTE).await;
    assert_eq!(runs.lock().unwrap().len(), 3);
    agent.stop().await.unwrap();
}

/// The time by which the clock was set back, as often as it was told.
fn jumps(log: &Log) -> Vec<String> {
    let lines =
        log.lines("the clock was set back: nothing fires until it shows what it showed before");
    let jumps = lines.iter().map(|line| {
        assert_eq!((line.level, line.field("handler")), (Level::WARN, "run"));
        line.field("back").to_owned()
    });
    jumps.collect()
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_waits_for_a_clock_that_was_set_back_says_so_once() {
    let (log, _guard) = Log::keep();
    let (clock, runs, agent) = Minutely::start("2026-03-01T08:00:30Z").await;
    clock.step(-2000);
    pass(MINUTE).await;
    assert_eq!((runs.lock().unwrap().len(), jumps(&log)), (1, vec![]));

    clock.step(3_600_000);
    pass(30 * SECOND).await;
    assert_eq!(runs.lock().unwrap().len(), 2, "at once, as the last minute");
    clock.step(-3_600_000);
    pass(59 * MINUTE).await;
    assert_eq!(runs.lock().unwrap().len(), 2, "those minutes have fired");
    assert_eq!(jumps(&log).len(), 1);
    pass(5 * MINUTE).await;
    assert!(runs.lock().unwrap().len() > 5, "it goes on");
    assert_eq!(jumps(&log).len(), 1);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_a_year_ahead_is_followed_when_it_is_set_right() {
    let (clock, runs, agent) = Minutely::start("2027-03-01T08:00:30Z").await;
    pass(MINUTE).await;
    clock.step(-365 * 24 * 3_600_000);
    pass(10 * MINUTE).await;
    assert_eq!(runs.lock().unwrap().len(), 11);
    agent.stop().await.unwrap();
}

struct Draining {
    diary: Diary,
}

#[agent]
impl Draining {
    #[cron("0 * * * *", timeout = 3600)]
    async fn long(&self) {
        self.diary.write("long");
        sleep(20 * MINUTE).await;
        self.diary.write("long is done");
    }

    #[cron("* * * * *", jitter = 30)]
    fn short(&self) {
        self.diary.write("short");
    }

    #[periodic(60)]
    fn tick(&self) {
        self.diary.write("tick");
    }
}

#[tokio::test(start_paused = true)]
async fn line_53_nothing_fires_while_the_agent_drains() {
    let diary = Diary::default();
    let draining = Draining {
        diary: diary.clone(),
    };
    let clock = VirtualClock::at("2026-03-01T07:59:00Z").unwrap();
    let agent = Agent::new(draining).clock(clock).grace(HOUR);
    let agent = agent.start().await.unwrap();
    sleep(3 * MINUTE / 2).await;
    let before = diary.len();
    agent.stop().await.unwrap();
    assert_eq!(diary.read()[before..], ["long is done"]);
}

struct Jittering {
    starts: Arc<Mutex<Vec<u64>>>,
    began: Instant,
}

#[agent]
impl Jittering {
    #[periodic(10, jitter = 4)]
    fn run(&self) {
        let since = self.began.elapsed().as_millis() as u64;
        self.starts.lock().unwrap().push(since);
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_moves_a_run_and_not_the_grid() {
    let starts: Arc<Mutex<Vec<u64>>> = Arc::default();
    let jittering = Jittering {
        starts: Arc::clone(&starts),
        began: Instant::now(),
    };
    let agent = Agent::new(jittering).start().await.unwrap();
    sleep(1995 * SECOND).await;
    agent.stop().await.unwrap();
    let late: Vec<_> = starts
        .lock()
        .unwrap()
        .iter()
        .zip(0..)
        .map(|(start, n)| start - 10_000 * n)
        .collect();
    assert_eq!(late.len(), 200);
    assert!(late.iter().all(|late| *late <= 4001), "{late:?}");
    // 200 fair draws miss a quarter of the range once in 10^25 times.
    for quarter in 0..4 {
        let within = quarter * 1000..(quarter + 1) * 1000;
        assert!(late.iter().any(|late| within.contains(late)), "{late:?}");
    }
}

struct TooLate;

impl MicroAgent for TooLate {
    const NAME: &'static str = "TooLate";

    fn blueprint() -> Blueprint<Self> {
        let options = PeriodicOptions::every(SECOND).jitter(SECOND);
        Blueprint::new().periodic("tick", options, |_: &Arc<Self>, _: &Context| {
            Box::pin(async { Ok(()) })
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

#[tokio::test(start_paused = true)]
async fn a_jitter_as_long_as_the_period_is_refused_at_start() {
    let error = Agent::new(TooLate).start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "handler `tick`: `jitter`: a run starts up to this much later; less than the period, which is 1s, is allowed, not 1s"
    );
}
