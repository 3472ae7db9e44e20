//! Lines 1 to 9, where the process that dies or takes long may be the host: what becomes of queue messages. Line 5 is with the
//! hub's own tests as well, for hours of virtual time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use microagent_core::{QueueBroker, header};
use microagent_testing::failure_suite::Record;
use rustix::process::Signal;
use tokio::time::timeout;

use crate::{
    bench::{Bench, DEAD, JOBS, SOON, job, job_that, next, one_by_one, until, within},
    process::HostLog,
};

const MINUTE: Duration = Duration::from_secs(60);

/// When what a dead consumer had is with another at the latest.
const REDELIVERED: Duration = Duration::from_secs(30);

/// After which silence the hub takes a process for dead.
const SILENCE: Duration = Duration::from_secs(20);

/// The period in which processes report that they live.
const PING: Duration = Duration::from_secs(5);

/// The number of messages that were delivered more than once.
fn duplicates(handled: &BTreeMap<u64, u32>) -> u32 {
    handled.values().map(|times| times - 1).sum()
}

/// 1. The same in full flow, where what is handled but not yet acknowledged may come twice.
#[tokio::test]
async fn line_01_a_consumer_killed_in_full_flow_repeats_at_most_8() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push((0..10_000).map(job)).await;
    let killed = bench.worker(8, 8);
    bench.journal.handled(1000, MINUTE).await;
    killed.kill();
    let death = Instant::now();

    let next = bench.worker(8, 8);
    its_messages_are_handled(&bench, death).await;
    bench.journal.handled(10_000, MINUTE).await;
    next.signal(Signal::TERM);
    assert!(next.ended().await.success());
    let handled = bench.journal.look(|record| record.handled.clone());
    let duplicates = duplicates(&handled);
    assert!(duplicates <= 8, "{duplicates} duplicates");
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// Waits until everything is handled that a consumer had begun before its death, and no longer than the contract allows.
async fn its_messages_are_handled(bench: &Bench, death: Instant) {
    let mut left = bench.journal.look(|record| record.started.clone());
    let handled = |record: &Record| {
        left.retain(|n| !record.handled.contains_key(n));
        left.is_empty()
    };
    let at_most = REDELIVERED.saturating_sub(death.elapsed());
    let what = "what the dead one had begun";
    bench.journal.until(what, at_most, handled).await;
}

/// 4. `kill -9` of the host while it recovers what a dead consumer had: the next host has each message once.
#[tokio::test]
async fn line_04_a_kill_during_the_recovery_loses_and_copies_nothing() {
    for into_recovery in [0, 1, 3, 10].map(Duration::from_millis) {
        let bench = Bench::new();
        let host = bench.host().await;
        bench.push((0..200).map(|n| job_that("wait", n))).await;
        let killed = bench.worker(200, 200);
        bench.journal.started(200, SOON).await;
        killed.kill();
        // The hub notices the death at once; the process dies in the middle of the 200 messages, too.
        std::thread::sleep(into_recovery);
        host.kill();
        assert_eq!(bench.stored(), 200);

        let mut next = bench.worker(8, 16);
        next.go_on();
        bench.journal.handled(200, SOON).await;
        next.signal(Signal::TERM);
        assert!(next.ended().await.success());
        let handled = bench.journal.look(|record| record.handled.clone());
        assert_eq!(duplicates(&handled), 0);
        assert_eq!(bench.stored(), 0);
    }
}

/// 4. `kill -9` of one heir after the other, each in the middle of its work: what it had comes again, and nothing else.
#[tokio::test]
async fn line_04_hosts_that_die_one_after_the_other_lose_nothing() {
    let bench = Bench::new();
    bench.push((0..3000).map(job)).await;
    let mut workers: Vec<_> = (0..4).map(|_| bench.worker(4, 8)).collect();
    let ready = |record: &Record| record.says("works") == 4;
    bench.journal.until("all workers", SOON, ready).await;
    for times in 1..=3 {
        bench.journal.handled(times * 500, SOON).await;
        let host = bench.journal.hosts(times).await;
        let host = workers.iter().position(|worker| worker.id() == host);
        workers.remove(host.unwrap()).kill();
    }
    bench.journal.handled(3000, SOON).await;
    let last = workers.remove(0);
    last.signal(Signal::TERM);
    assert!(last.ended().await.success());
    assert_eq!(bench.stored(), 0);
    // The messages that the others have in flight when the host dies are delivered again, too; so are those
    // that they have acknowledged since the last commit, which are more on a slow disk.
    let handled = bench.journal.look(|record| record.handled.clone());
    let duplicates = duplicates(&handled);
    assert!(
        duplicates <= (4 + 3 + 2) * 8 + 3 * 300,
        "{duplicates} duplicates"
    );
}

/// 5. A handler runs for longer than a silent process is taken for alive: it is not delivered to the one who waits for it.
#[tokio::test]
async fn line_05_what_a_living_process_handles_is_nobody_elses() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push([job_that("wait", 0)]).await;
    let mut busy = bench.worker(1, 1);
    bench.journal.started(1, SOON).await;

    let second = bench.broker().await;
    let mut jobs = second.consume(&JOBS, one_by_one()).await.unwrap();
    let taken = timeout(SILENCE + PING, jobs.next()).await;
    assert!(taken.is_err(), "{taken:?}");
    bench.push([job(1)]).await;
    let other = next(&mut jobs).await;
    assert_eq!(*other.message().payload(), job(1).to_string());
    other.ack().await.unwrap();
    second.close().await.unwrap();

    busy.go_on();
    bench.journal.handled(1, SOON).await;
    busy.signal(Signal::TERM);
    assert!(within(SOON, "its end", busy.ended()).await.success());
    assert_eq!(bench.journal.look(|record| record.started.clone()), [0]);
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// 7. The same where the process that dies is the host itself.
#[tokio::test]
async fn line_07_a_killer_of_hosts_is_parked_and_its_neighbours_are_not() {
    let bench = Bench::new();
    a_killer_is_parked(&bench).await;
    assert_eq!(bench.stored(), 1);
}

async fn a_killer_is_parked(bench: &Bench) {
    bench
        .push([job(0), job(1), job_that("abort", 2), job(3), job(4)])
        .await;
    for _ in 0..3 {
        let killed = bench.worker(8, 8);
        let status = within(SOON, "the killer's death", killed.ended()).await;
        assert!(!status.success());
    }
    let last = bench.worker(8, 8);
    bench.journal.handled(4, SOON).await;
    until("the dead letter", SOON, async || {
        bench.length(&DEAD).await == 1
    })
    .await;
    let dead = bench.dead_letter().await;
    assert_eq!(dead[header::DEAD_REASON], "crash");
    assert_eq!(bench.length(&JOBS).await, 0);
    let killed = bench.journal.look(|record| {
        let killers = record.started.iter().filter(|n| **n == 2);
        killers.count()
    });
    assert_eq!(killed, 3);
    last.signal(Signal::TERM);
    assert!(last.ended().await.success());
}

/// 9. `kill -9` during the delay of a retry, of the consumer that is the host as well.
#[tokio::test]
async fn line_09_a_retry_outlives_the_process_that_asked_for_it() {
    let bench = Bench::new();
    bench.push([job(0)]).await;
    let killed = bench.start("retrier");
    let retries = |record: &Record| record.says("retries") == 1;
    bench.journal.until("the retry", SOON, retries).await;
    killed.kill();
    assert_eq!(bench.stored(), 1);

    let broker = bench.broker().await;
    let mut jobs = broker.consume(&JOBS, one_by_one()).await.unwrap();
    let again = next(&mut jobs).await;
    let message = again.message();
    assert_eq!((message.attempt(), message.crashes()), (2, 0));
    again.ack().await.unwrap();
    broker.close().await.unwrap();
    assert_eq!(bench.stored(), 0);
}
