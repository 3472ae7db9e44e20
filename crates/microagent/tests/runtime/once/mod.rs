//! Replicas of one schedule: leases of the broker tell who runs. A test whose name begins with a line's number proves that line
//! of the failure contract.

mod driver;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::{ErrorKind, prelude::*};
use microagent_testing::{BrokerMock, VirtualClock};
use tokio::time::{Instant, sleep};

use self::driver::{Leasing, without_leases};
use super::{clocks::SteppedClock, pass};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Which replica ran, and when in true time.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<(usize, Instant)>>>);

impl Runs {
    fn all(&self) -> Vec<(usize, Instant)> {
        self.0.lock().unwrap().clone()
    }

    fn replicas(&self) -> Vec<usize> {
        self.all().into_iter().map(|(replica, _)| replica).collect()
    }
}

/// One replica.
struct Billing {
    runs: Runs,
    replica: usize,
    takes: Duration,
}

impl Billing {
    async fn run(&self) {
        self.runs
            .0
            .lock()
            .unwrap()
            .push((self.replica, Instant::now()));
        sleep(self.takes).await;
    }
}

#[agent]
impl Billing {
    #[cron("* * * * *", once)]
    async fn invoice(&self) {
        self.run().await;
    }
}

/// Replicas of a run of so long, each with its clock.
fn replicas(runs: &Runs, takes: Duration) -> impl Iterator<Item = Billing> {
    let runs = runs.clone();
    (0..).map(move |replica| Billing {
        runs: runs.clone(),
        replica,
        takes,
    })
}

async fn shop(name: &str) -> Broker {
    Broker::connect(&format!("memory://{name}")).await.unwrap()
}

/// A clock that is wrong by so many milliseconds.
fn skewed(now: &str, milliseconds: i64) -> SteppedClock {
    let clock = SteppedClock::at(now);
    clock.step(milliseconds);
    clock
}

const START: &str = "2026-03-01T00:00:30Z";

#[tokio::test(start_paused = true)]
async fn line_46_three_replicas_with_skewed_clocks_run_once_per_instant() {
    for seed in 0..5 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (runs, began) = (Runs::default(), Instant::now());
        let mut living = Vec::new();
        for billing in replicas(&runs, Duration::from_millis(1)).take(3) {
            let clock = skewed(START, random.i64(-2000..=2000));
            let agent = Agent::new(billing).clock(clock);
            let broker = shop(&format!("skew{seed}")).await;
            living.push(agent.broker(broker).start().await.unwrap());
        }
        sleep(200 * MINUTE).await;
        for agent in living {
            agent.stop().await.unwrap();
        }
        let all = runs.all();
        assert_eq!(all.len(), 200, "seed {seed}: one run per instant");
        for (n, (_, at)) in (0..).zip(&all) {
            let instant = began + 30 * SECOND + n * MINUTE;
            let off = at.duration_since(instant).max(instant.duration_since(*at));
            assert!(off <= 2 * SECOND + Duration::from_millis(1), "{off:?} off");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_stop_and_start_again_lose_and_double_nothing() {
    let mut random = fastrand::Rng::with_seed(7);
    let runs = Runs::default();
    let mut billings = replicas(&runs, Duration::from_millis(1));
    let mut living = Vec::new();
    let clock = VirtualClock::at(START).unwrap();
    // Between the instants, one of three at a time.
    for minute in 0..100 {
        if living.len() == 3 {
            let gone: microagent::RunningAgent<Billing> = living.remove(random.usize(0..3));
            gone.stop().await.unwrap();
        }
        while living.len() < 3 {
            let agent = Agent::new(billings.next().unwrap()).clock(clock);
            living.push(agent.broker(shop("rolling").await).start().await.unwrap());
        }
        assert_eq!(runs.all().len(), minute);
        sleep(MINUTE).await;
    }
    assert_eq!(runs.all().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_slept_through_instants_that_others_ran_runs_none_of_them() {
    let runs = Runs::default();
    let mut billings = replicas(&runs, Duration::from_millis(1));
    let (awake, sleeper) = (skewed(START, 0), skewed(START, -8 * 3_600_000));
    let mut living = Vec::new();
    for clock in [&awake, &sleeper] {
        let agent = Agent::new(billings.next().unwrap()).clock(clock.clone());
        living.push(agent.broker(shop("sleep").await).start().await.unwrap());
    }
    sleep(8 * MINUTE).await;
    // The last run of the sleeping replica was 8 hours ago; now it wakes up.
    assert_eq!(runs.all().len(), 16);
    sleeper.step(8 * 3_600_000);
    sleep(10 * MINUTE).await;
    assert_eq!(runs.all().len(), 26, "one run per instant");
}

struct Nightly {
    runs: Runs,
    replica: usize,
}

#[agent]
impl Nightly {
    #[cron("0 * * * *", timeout = 60, once)]
    async fn strict(&self) {
        self.runs
            .0
            .lock()
            .unwrap()
            .push((self.replica, Instant::now()));
        sleep(30 * SECOND).await;
    }
}

struct AtLeast {
    runs: Runs,
    replica: usize,
}

#[agent]
impl AtLeast {
    #[cron("0 * * * *", timeout = 60, once(crashed = run))]
    async fn kept(&self) {
        self.runs
            .0
            .lock()
            .unwrap()
            .push((self.replica, Instant::now()));
        sleep(30 * SECOND).await;
    }
}

/// Two replicas of which the one that runs dies in the middle of its run.
async fn killed_mid_run<A: MicroAgent>(name: &str, replica: impl Fn(usize) -> A, runs: &Runs) {
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let mut living = Vec::new();
    for n in 0..2 {
        let agent = Agent::new(replica(n)).clock(clock);
        living.push(agent.broker(shop(name).await).start().await.unwrap());
    }
    pass(10 * SECOND).await;
    let running = runs.replicas();
    assert_eq!(running.len(), 1);
    drop(living.remove(running[0]));
    pass(HOUR / 2).await;
}

#[tokio::test(start_paused = true)]
async fn line_47_the_run_of_a_killed_replica_is_nobody_s_by_default() {
    let runs = Runs::default();
    let replica = |replica| Nightly {
        runs: runs.clone(),
        replica,
    };
    killed_mid_run("killed", replica, &runs).await;
    assert_eq!(runs.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn line_47_the_run_of_a_killed_replica_is_another_s_when_it_must_have_ended() {
    let runs = Runs::default();
    let replica = |replica| AtLeast {
        runs: runs.clone(),
        replica,
    };
    killed_mid_run("again", replica, &runs).await;
    let [(first, began), (second, again)] = runs.all()[..] else {
        panic!("two runs, not {:?}", runs.all());
    };
    assert_ne!(first, second);
    let apart = again - began;
    assert!(apart >= MINUTE && apart < 2 * MINUTE, "{apart:?} apart");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ended_is_not_run_again_by_those_who_waited_for_a_death() {
    let runs = Runs::default();
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let mut living = Vec::new();
    for replica in 0..3 {
        let agent = AtLeast {
            runs: runs.clone(),
            replica,
        };
        let agent = Agent::new(agent).clock(clock);
        living.push(agent.broker(shop("done").await).start().await.unwrap());
    }
    pass(23 * HOUR + HOUR / 2).await;
    assert_eq!(runs.all().len(), 24);
}

struct Doubting {
    runs: Runs,
}

#[agent]
impl Doubting {
    #[cron("0 * * * *", once)]
    async fn rather_not(&self) {
        self.runs.0.lock().unwrap().push((0, Instant::now()));
    }

    #[cron("0 * * * *", once(unavailable = run))]
    async fn rather_twice(&self) {
        self.runs.0.lock().unwrap().push((1, Instant::now()));
    }

    #[cron("0 * * * *")]
    async fn each(&self) {
        self.runs.0.lock().unwrap().push((2, Instant::now()));
    }
}

#[tokio::test(start_paused = true)]
async fn line_48_a_broker_that_is_away_at_the_instant_leaves_it_to_the_policy() {
    let (runs, driver) = (Runs::default(), Leasing::default());
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let agent = Doubting { runs: runs.clone() };
    let agent = Agent::new(agent).clock(clock).broker(driver.broker());
    let agent = agent.start().await.unwrap();
    driver.go_away();
    let began = Instant::now();
    pass(MINUTE).await;
    assert_eq!(runs.replicas(), [2, 1], "the one without `once` first");
    assert!(
        runs.all()[0].1 - began < 2 * SECOND,
        "others are not kept waiting"
    );
    assert_eq!(agent.info()["stats"]["rather_not"]["dropped"], 1);

    driver.come_back();
    pass(HOUR).await;
    let mut later = runs.replicas()[2..].to_vec();
    later.sort_unstable();
    assert_eq!(later, [0, 1, 2]);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_no_run() {
    let (runs, driver) = (Runs::default(), Leasing::default());
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let agent = Agent::new(Doubting { runs: runs.clone() }).clock(clock);
    let agent = agent.broker(driver.broker()).start().await.unwrap();
    driver.go_away();
    pass(3 * SECOND).await;
    assert_eq!(runs.replicas(), [2]);
    driver.come_back();
    pass(2 * SECOND).await;
    assert_eq!(runs.all().len(), 3);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_never_answers_is_waited_for_ten_seconds() {
    let (runs, driver) = (Runs::default(), Leasing::default());
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let agent = Agent::new(Doubting { runs: runs.clone() }).clock(clock);
    let agent = agent.broker(driver.broker()).start().await.unwrap();
    driver.hang();
    pass(10 * SECOND).await;
    assert_eq!(runs.replicas(), [2]);
    pass(2 * SECOND).await;
    assert_eq!(runs.replicas(), [2, 1]);
    agent.stop().await.unwrap();
}

/// Replicas whose broker has no leases, and whose bus has.
#[tokio::test(start_paused = true)]
async fn the_bus_tells_replicas_apart_if_the_broker_has_no_leases() {
    let (runs, clock) = (Runs::default(), "2026-03-01T00:00:59Z");
    let mut agents = Vec::new();
    for billing in replicas(&runs, SECOND).take(3) {
        let bus = Bus::connect("memory://leases-of-a-bus").await.unwrap();
        let agent = Agent::new(billing).clock(VirtualClock::at(clock).unwrap());
        let agent = agent.bus(bus).broker(without_leases());
        agents.push(agent.start().await.unwrap());
    }
    pass(3 * MINUTE).await;
    assert_eq!(runs.all().len(), 3, "{:?}", runs.all());
    for agent in agents {
        agent.stop().await.unwrap();
    }
}

/// A bus alone is enough.
#[tokio::test(start_paused = true)]
async fn the_bus_tells_replicas_apart_if_there_is_no_broker() {
    let (runs, clock) = (Runs::default(), "2026-03-01T00:00:59Z");
    let mut agents = Vec::new();
    for billing in replicas(&runs, SECOND).take(2) {
        let bus = Bus::connect("memory://leases-of-a-bus-alone")
            .await
            .unwrap();
        let agent = Agent::new(billing).clock(VirtualClock::at(clock).unwrap());
        agents.push(agent.bus(bus).start().await.unwrap());
    }
    pass(3 * MINUTE).await;
    assert_eq!(runs.all().len(), 3, "{:?}", runs.all());
    for agent in agents {
        agent.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn once_is_refused_where_there_are_no_leases() {
    let agent = || {
        let runs = Runs::default();
        Agent::new(Doubting { runs })
    };
    let error = agent().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "task `rather_not`: `once` needs a broker or a bus, whose leases tell the replicas apart: start the agent with \
         `.broker(…)` or `.bus(…)`"
    );
    let error = agent().broker(without_leases()).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().starts_with(
            "task `rather_not`: `once` needs leases, which are not supported by `bare://`"
        ),
        "{error}"
    );
    // An agent without schedules needs no leases.
    let quiet = agent().enable_periodic_tasks(false).start().await.unwrap();
    quiet.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_the_mock_of_a_broker_what_runs_once_runs() {
    let (runs, mock) = (Runs::default(), BrokerMock::new());
    let clock = VirtualClock::at("2026-03-01T00:59:59Z").unwrap();
    let agent = Agent::new(Doubting { runs: runs.clone() }).clock(clock);
    let agent = agent.broker(mock.broker()).start().await.unwrap();
    pass(2 * SECOND).await;
    assert_eq!(runs.all().len(), 3);
    agent.stop().await.unwrap();
}
