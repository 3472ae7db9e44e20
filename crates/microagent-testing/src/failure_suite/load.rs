//! Consumers that end under load, for the tests of a driver: killed at random, killed by one message, and restarted as they are
//! meant to be.
//!
//! `MICROAGENT_TEST_CHAOS` sets for how many seconds consumers are killed, `MICROAGENT_TEST_SEED` repeats a run, and
//! `MICROAGENT_TEST_ROUNDS` sets the number of restarts.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use microagent_core::{DeclareOptions, ErrorKind, Queue, QueueBroker, header};
use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    Journal, Process,
    jobs::{DEAD, JOBS, job, job_that, send, until_length},
    number, say, within,
};

/// The variable with the seconds in which processes are killed, or come and go.
pub const CHAOS: &str = "MICROAGENT_TEST_CHAOS";

/// The variable with the seed of a run.
pub const SEED: &str = "MICROAGENT_TEST_SEED";

const ROUNDS: &str = "MICROAGENT_TEST_ROUNDS";

/// The patience with everything that a process has to handle.
pub const MINUTES: Duration = Duration::from_secs(240);

const CONSUMERS: usize = 3;

/// The most messages that a consumer has in flight.
const PREFETCH: usize = 16;

/// A server with processes that work on it.
pub trait Workplace: Sync {
    /// The driver's broker.
    type Broker: QueueBroker;

    /// Returns the journal of the processes.
    fn journal(&self) -> &Journal;

    /// Starts a process that handles jobs, with this concurrency and prefetch.
    fn worker(&self, concurrency: usize, prefetch: usize) -> Process;

    /// Opens a broker on a connection of its own.
    fn broker(&self) -> impl Future<Output = Self::Broker>;

    /// Sends jobs over a connection that is closed afterwards.
    fn push(&self, jobs: Vec<Value>) -> impl Future<Output = ()>;
}

/// Kills consumers at random under load: nothing is lost, and what is handled twice was in flight when one died. These queues are empty
/// at the end.
pub async fn consumers_are_killed_at_random(place: &impl Workplace, emptied: &[Queue]) {
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let load = Load::start(place).await;
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(place)).collect();
    let (begun, lasts) = (Instant::now(), number(CHAOS).unwrap_or(8));
    let mut killed = 0;
    while begun.elapsed() < Duration::from_secs(lasts) {
        sleep(Duration::from_millis(random.u64(100..900))).await;
        let victim = &mut consumers[random.usize(..CONSUMERS)];
        // The old one is killed when it is dropped.
        drop(std::mem::replace(victim, start(place)));
        killed += 1;
    }
    let confirmed = load.stop().await;
    everything_is_handled(place, &confirmed, emptied).await;
    let journal = place.journal();
    let (duplicates, suspects) = journal.look(|record| (record.duplicates(), record.suspects()));
    say(&format!(
        "{killed} killed in {lasts} s: {} confirmed, 0 lost, {duplicates} handled again, {suspects} suspects",
        confirmed.len()
    ));
    assert!(duplicates <= killed * u32::try_from(PREFETCH).unwrap());
}

/// Waits until each of these jobs was handled, or is a dead letter because three processes died while it ran alone.
async fn everything_is_handled(
    place: &impl Workplace,
    confirmed: &BTreeSet<u64>,
    emptied: &[Queue],
) {
    let broker = place.broker().await;
    let begun = Instant::now();
    loop {
        let dead = broker.length(&DEAD).await.unwrap();
        let missing = place.journal().look(|record| {
            let missing = confirmed.iter().filter(|n| !record.handled.contains_key(n));
            missing.count() as u64
        });
        if missing <= dead {
            assert_eq!(missing, dead, "a handled job is a dead letter");
            break;
        }
        assert!(begun.elapsed() < MINUTES, "{missing} are missing");
        sleep(Duration::from_millis(50)).await;
    }
    for queue in emptied {
        until_length(&broker, queue, 0).await;
    }
    broker.close().await.unwrap();
}

/// Restarts three consumers ten times under load: nothing is lost or repeated, and no crash is counted. These queues and that of the dead
/// letters are empty at the end.
pub async fn consumers_are_restarted(place: &impl Workplace, emptied: &[Queue]) {
    let load = Load::start(place).await;
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(place)).collect();
    let (journal, rounds) = (place.journal(), number(ROUNDS).unwrap_or(10));
    for round in 0..rounds {
        let victim = usize::try_from(round).unwrap() % CONSUMERS;
        let old = std::mem::replace(&mut consumers[victim], start(place));
        let handled = journal.look(|record| record.handled.len());
        journal.handled(handled + 20, MINUTES).await;
        old.ends_well().await;
    }
    let confirmed = load.stop().await;
    journal.handled(confirmed.len(), MINUTES).await;
    for consumer in consumers {
        consumer.ends_well().await;
    }
    let broker = place.broker().await;
    let (started, duplicates, suspects) = journal.look(|record| {
        let started = record.started.len();
        (started, record.duplicates(), record.suspects())
    });
    say(&format!(
        "{rounds} restarts: {} confirmed, {started} started, {duplicates} handled again, {suspects} suspects",
        confirmed.len(),
    ));
    assert_eq!(started, confirmed.len());
    assert_eq!((duplicates, suspects), (0, 0));
    for queue in emptied.iter().chain([&DEAD]) {
        assert_eq!(broker.length(queue).await.unwrap(), 0, "{queue}");
    }
    broker.close().await.unwrap();
}

/// Lets one of 50 messages in flight kill its process: it is a dead letter after three deaths, and the others are handled. These queues are
/// empty at the end.
pub async fn a_killer_is_parked(place: &impl Workplace, emptied: &[Queue]) {
    place.push(vec![job_that("abort", 0)]).await;
    place.push((1..50).map(job).collect()).await;
    for _ in 0..3 {
        let killed = place.worker(50, 50);
        let status = within(MINUTES, "the death of the process", killed.ended()).await;
        assert!(!status.success());
    }
    let last = place.worker(50, 50);
    place.journal().handled(49, MINUTES).await;
    let broker = place.broker().await;
    until_length(&broker, &DEAD, 1).await;
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    assert_eq!(dead.header(header::DEAD_REASON), Some("crash"));
    let killer = job_that("abort", 0).to_string();
    assert_eq!(dead.payload(), killer.as_bytes());
    let killers = place.journal().look(|record| {
        let started = record.started.iter();
        started.filter(|n| **n == 0).count()
    });
    assert_eq!(killers, 3, "one death each");
    for queue in emptied {
        until_length(&broker, queue, 0).await;
    }
    last.ends_well().await;
    broker.close().await.unwrap();
}

fn start(place: &impl Workplace) -> Process {
    place.worker(8, PREFETCH)
}

/// A producer that sends until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    producing: JoinHandle<BTreeSet<u64>>,
}

impl Load {
    async fn start(place: &impl Workplace) -> Self {
        let broker = place.broker().await;
        let options = DeclareOptions::default();
        broker.declare(&JOBS, &options).await.unwrap();
        let stop = Arc::<AtomicBool>::default();
        let producing = tokio::spawn(produce(broker, Arc::clone(&stop)));
        Self { stop, producing }
    }

    /// Returns what was confirmed.
    async fn stop(self) -> BTreeSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.producing.await.unwrap()
    }
}

async fn produce(broker: impl QueueBroker, stop: Arc<AtomicBool>) -> BTreeSet<u64> {
    let mut confirmed = BTreeSet::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        match send(&broker, job_that("take", n)).await {
            Ok(()) => drop(confirmed.insert(n)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
    broker.close().await.unwrap();
    confirmed
}
