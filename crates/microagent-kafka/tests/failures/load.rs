//! Consumers that end under load: killed at random, and restarted as they are meant to be.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use microagent_core::{DeclareOptions, ErrorKind, QueueBroker};
use microagent_kafka::KafkaBroker;
use microagent_testing::failure_suite::Process;
use tokio::{task::JoinHandle, time::sleep};

use crate::bench::{
    Bench, CHAOS, DEAD, JOBS, MINUTES, SEED, bench_with, ends_well, job_that, number,
    patient_bench, say, send,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn consumers_killed_at_random_lose_nothing,
        multi_thread async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing,
    }
}

/// The number of restarts.
const ROUNDS: &str = "MICROAGENT_TEST_ROUNDS";

const CONSUMERS: usize = 3;
/// The most messages that a consumer has in flight.
const PREFETCH: usize = 16;

/// A producer that sends until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    producing: JoinHandle<BTreeSet<u64>>,
}

impl Load {
    async fn start(bench: &Bench) -> Self {
        let broker = bench.broker().await;
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

async fn produce(broker: KafkaBroker, stop: Arc<AtomicBool>) -> BTreeSet<u64> {
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

fn start(bench: &Bench) -> Process {
    bench.worker(8, PREFETCH)
}

/// Consumers are killed at random under load: nothing is lost, and what is handled twice was in flight when one died.
async fn consumers_killed_at_random_lose_nothing() {
    let bench = bench_with("&partitions=3&x.session.timeout.ms=6000").await;
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let load = Load::start(&bench).await;
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(&bench)).collect();
    let (begun, lasts) = (Instant::now(), number(CHAOS).unwrap_or(8));
    let mut killed = 0;
    while begun.elapsed() < Duration::from_secs(lasts) {
        sleep(Duration::from_millis(random.u64(100..900))).await;
        let victim = &mut consumers[random.usize(..CONSUMERS)];
        // The old one is killed when it is dropped.
        drop(std::mem::replace(victim, start(&bench)));
        killed += 1;
    }
    let confirmed = load.stop().await;
    everything_is_handled(&bench, &confirmed).await;
    let (duplicates, suspects) = (bench.duplicates(), bench.suspects());
    say(&format!(
        "{killed} killed in {lasts} s: {} confirmed, 0 lost, {duplicates} handled again, {suspects} suspects",
        confirmed.len()
    ));
    assert!(duplicates <= killed * u32::try_from(PREFETCH).unwrap());
}

/// Waits until each of these jobs was handled, or is a dead letter because three processes died while it ran alone.
async fn everything_is_handled(bench: &Bench, confirmed: &BTreeSet<u64>) {
    let broker = bench.broker().await;
    let begun = Instant::now();
    loop {
        let dead = broker.length(&DEAD).await.unwrap();
        let missing = bench.journal.look(|record| {
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
    bench.until_length(&broker, &JOBS, 0).await;
    broker.close().await.unwrap();
}

/// Line 65: Three consumers are restarted ten times under load: nothing is lost or repeated, and no crash is counted.
async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing() {
    let bench = patient_bench("&partitions=3").await;
    let load = Load::start(&bench).await;
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(&bench)).collect();
    let rounds = number(ROUNDS).unwrap_or(10);
    for round in 0..rounds {
        let victim = usize::try_from(round).unwrap() % CONSUMERS;
        let old = std::mem::replace(&mut consumers[victim], start(&bench));
        let handled = bench.journal.look(|record| record.handled.len());
        bench.journal.handled(handled + 20, MINUTES).await;
        ends_well(old).await;
    }
    let confirmed = load.stop().await;
    bench.journal.handled(confirmed.len(), MINUTES).await;
    for consumer in consumers {
        ends_well(consumer).await;
    }
    let broker = bench.broker().await;
    let started = bench.journal.look(|record| record.started.len());
    say(&format!(
        "{rounds} restarts: {} confirmed, {started} started, {} handled again, {} suspects",
        confirmed.len(),
        bench.duplicates(),
        bench.suspects()
    ));
    assert_eq!(started, confirmed.len());
    assert_eq!((bench.duplicates(), bench.suspects()), (0, 0));
    for queue in [JOBS, DEAD] {
        assert_eq!(broker.length(&queue).await.unwrap(), 0, "{queue}");
    }
    broker.close().await.unwrap();
}
