//! Everything at once, at random and for a while: consumers that are killed and stopped, connections that are cut, a server that
//! is restarted. Nothing is lost, and what always fails is a dead letter once.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use microagent_core::{ErrorKind, QueueBroker, header};
use microagent_redis::RedisBroker;
use redis::AsyncCommands;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    bench::{Bench, DEAD, LEASE, RECOVERY, bench_with, send, until},
    worker::{Options, Worker},
};

microagent_testing::needs! {
    redis {
        multi_thread async fn chaos_loses_nothing,
    }
}

/// For how many seconds it goes on.
const CHAOS: &str = "MICROAGENT_TEST_CHAOS";
/// Repeats a run.
const SEED: &str = "MICROAGENT_TEST_SEED";

const CONSUMERS: usize = 3;
const PRODUCERS: u64 = 2;

/// One message in so many fails always.
const FAILS: u64 = 20;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[derive(Debug, Default)]
struct Faults {
    killed: u32,
    stopped: u32,
    cut: u32,
    restarted: u32,
}

async fn chaos_loses_nothing() {
    let mut bench = bench_with(&["--appendfsync", "always"]).await;
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let goes_on = Duration::from_secs(number(CHAOS).unwrap_or(12));
    let stop = Arc::new(AtomicBool::new(false));
    let mut producers = Vec::new();
    for producer in 0..PRODUCERS {
        let broker = bench.driver().await;
        producers.push(tokio::spawn(produce(broker, producer, stop.clone())));
    }
    let mut consumers: Vec<_> = (0..CONSUMERS).map(|_| start(&bench)).collect();
    let random = fastrand::Rng::with_seed(seed);
    let faults = disturb(&mut bench, &mut consumers, random, goes_on).await;
    stop.store(true, Ordering::Relaxed);
    let mut numbers = BTreeSet::new();
    for producer in producers {
        numbers.extend(producer.await.unwrap());
    }
    finish(&mut bench, consumers).await;
    judge(&mut bench, &numbers, &faults).await;
}

fn start(bench: &Bench) -> Worker {
    Worker::start(bench, Options::default())
}

/// Sends until it is told to stop, and returns what was confirmed.
async fn produce(broker: RedisBroker, producer: u64, stop: Arc<AtomicBool>) -> Vec<u64> {
    let mut confirmed = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let n = n * PRODUCERS + producer;
        match send(&broker, work(n)).await {
            Ok(()) => confirmed.push(n),
            // It may have arrived all the same, so its number is used for nothing else.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
    confirmed
}

fn work(n: u64) -> Value {
    match n % FAILS {
        0 => json!({"n": n, "fails_always": true}),
        // Some are retried, some take a while.
        1 => json!({"n": n, "fails": true}),
        rest => json!({"n": n, "ms": rest}),
    }
}

/// Makes one fault after the other.
async fn disturb(
    bench: &mut Bench,
    consumers: &mut [Worker],
    mut random: fastrand::Rng,
    goes_on: Duration,
) -> Faults {
    let mut faults = Faults::default();
    let begun = Instant::now();
    while begun.elapsed() < goes_on {
        sleep(Duration::from_millis(random.u64(50..800))).await;
        let victim = &mut consumers[random.usize(..CONSUMERS)];
        match random.u8(..10) {
            0..=3 => {
                // The old one is killed when it is dropped.
                drop(std::mem::replace(victim, start(bench)));
                faults.killed += 1;
            }
            4..=5 => {
                victim.signal(Signal::STOP);
                sleep(LEASE.mul_f64(2.0 + random.f64())).await;
                victim.signal(Signal::CONT);
                faults.stopped += 1;
            }
            6..=8 => {
                bench.server.cut().await.unwrap();
                faults.cut += 1;
            }
            _ => {
                let lasts = Duration::from_millis(random.u64(0..1500));
                bench.outage(lasts).await;
                faults.restarted += 1;
            }
        }
    }
    faults
}

/// Has one consumer finish the work, after the others were killed.
async fn finish(bench: &mut Bench, consumers: Vec<Worker>) {
    let mut consumers = consumers.into_iter();
    let _last = consumers.next();
    drop(consumers);
    bench.reconnect().await;
    let mut look = bench.look.clone();
    until("the queue to be empty", 4 * RECOVERY, async || {
        let mut keys: Vec<String> = look.keys("{jobs}:*").await.unwrap();
        keys.retain(|key| !key.ends_with(":ids") && !key.ends_with(":leases"));
        keys.is_empty() && look.llen::<_, usize>("jobs").await.unwrap() == 0
    })
    .await;
}

async fn judge(bench: &mut Bench, confirmed: &BTreeSet<u64>, faults: &Faults) {
    let handled = bench.handled().await;
    let mut parked = BTreeMap::<u64, Vec<String>>::new();
    for letter in bench.driver().await.peek(&DEAD, usize::MAX).await.unwrap() {
        let body: Value = serde_json::from_slice(letter.payload()).unwrap();
        let reason = letter.header(header::DEAD_REASON).unwrap().to_owned();
        let reasons = parked.entry(body["n"].as_u64().unwrap());
        reasons.or_default().push(reason);
    }
    let is_kept = |n: &u64| match n % FAILS {
        0 => parked.contains_key(n),
        // Three deaths park any message.
        _ => handled.contains_key(n) || parked.contains_key(n),
    };
    let lost: Vec<_> = confirmed.iter().filter(|n| !is_kept(n)).collect();
    let twice = handled.values().filter(|times| **times > 1).count();
    say(&format!(
        "{faults:?}: {} confirmed, {} handled, {twice} of them more than once, {} dead letters, {} lost",
        confirmed.len(),
        handled.len(),
        parked.len(),
        lost.len()
    ));
    assert!(lost.is_empty(), "lost: {lost:?}");
    for (n, reasons) in parked {
        let right = if n % FAILS == 0 { "terminal" } else { "crash" };
        assert!(
            reasons == [right] || reasons == ["crash"],
            "{n}: {reasons:?}"
        );
    }
}

/// Figures are shown of each run, also of one that passes.
fn say(line: &str) {
    drop(std::io::stderr().write_all(format!("\n{line}\n").as_bytes()));
}
