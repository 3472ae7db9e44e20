//! Lines 1 to 3 and 6 to 10: what becomes of queue messages whose consumers die, stand still or fail.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, QueueBroker, header};

use super::{
    Bench, FailureServer, Process, Record, SOON,
    bench::{declare, next},
    jobs::{DEAD, JOBS, job, job_that, send_bytes},
    within,
};

const MINUTE: Duration = Duration::from_secs(60);

fn one_by_one() -> ConsumeOptions {
    ConsumeOptions::with_prefetch(1)
}

/// A worker that is asked to stop ends by itself, and well.
async fn ends_well(worker: Process) {
    worker.terminate();
    assert!(within(SOON, "its end", worker.ended()).await.success());
}

/// Returns how often messages came more than once.
fn duplicates(handled: &BTreeMap<u64, u32>) -> u32 {
    handled.values().map(|times| times - 1).sum()
}

/// 1. `kill -9` of a consumer with 8 in flight of 10,000: each of the 8 is begun twice, and no other.
pub async fn line_01_a_killed_consumer_loses_nothing<S: FailureServer>(bench: Bench<S>) {
    let does = |n| {
        if n < 1000 {
            job(n)
        } else {
            job_that("wait", n)
        }
    };
    bench.push((0..10_000).map(does)).await;
    let killed = bench.worker(8, 16);
    bench.journal.started(1008, MINUTE).await;
    bench.until_waiting(&JOBS, 10_000 - 1000 - 16).await;
    killed.kill();
    let death = Instant::now();

    let mut next = bench.worker(8, 16);
    next.go_on();
    its_messages_are_handled(&bench, death).await;
    bench.journal.handled(10_000, MINUTE).await;
    let started = bench.journal.look(|record| record.started.len());
    assert_eq!(started, 10_000 + 8);
    let handled = bench.journal.look(|record| record.handled.clone());
    assert_eq!(duplicates(&handled), 0);
    ends_well(next).await;
    assert_eq!(bench.length(&JOBS).await, 0);
}

/// Waits until everything is handled that a consumer had begun before its death, and no longer than the contract allows.
async fn its_messages_are_handled<S: FailureServer>(bench: &Bench<S>, death: Instant) {
    let mut left = bench.journal.look(|record| record.started.clone());
    let handled = |record: &Record| {
        left.retain(|n| !record.handled.contains_key(n));
        left.is_empty()
    };
    let at_most = S::TAKEOVER.saturating_sub(death.elapsed());
    let what = "what the dead one had begun";
    bench.journal.until(what, at_most, handled).await;
}

/// 2. `kill -9` between the handing out and the handler's start.
pub async fn line_02_what_was_handed_out_and_not_started_is_not_lost<S: FailureServer>(
    bench: Bench<S>,
) {
    bench.push([job_that("wait", 0)]).await;
    bench.push((1..8).map(job)).await;
    let killed = bench.worker(1, 8);
    bench.journal.started(1, SOON).await;
    bench.until_waiting(&JOBS, 0).await;
    killed.kill();
    assert_eq!(bench.journal.look(|record| record.started.clone()), [0]);

    let mut next = bench.worker(1, 8);
    next.go_on();
    bench.journal.handled(8, MINUTE).await;
    ends_well(next).await;
    let handled = bench.journal.look(|record| record.handled.clone());
    assert_eq!(duplicates(&handled), 0);
}

/// 3. SIGTERM, then SIGKILL in the drain: nothing new is begun in it, and nothing is lost.
pub async fn line_03_a_kill_during_the_drain_loses_nothing<S: FailureServer>(bench: Bench<S>) {
    bench.push((0..4).map(|n| job_that("wait", n))).await;
    bench.push((4..30).map(job)).await;
    let killed = bench.worker(4, 12);
    bench.journal.started(4, SOON).await;
    killed.terminate();
    bench.until_waiting(&JOBS, 26).await;
    killed.kill();
    assert_eq!(bench.journal.look(|record| record.started.len()), 4);

    let mut next = bench.worker(4, 12);
    next.go_on();
    bench.journal.handled(30, MINUTE).await;
    ends_well(next).await;
    let handled = bench.journal.look(|record| record.handled.clone());
    assert_eq!(duplicates(&handled), 0);
}

/// 6. SIGSTOP until the process is taken for dead, another takes over, SIGCONT: the late acknowledgement removes nothing.
pub async fn line_06_a_late_ack_cannot_remove_what_another_has<S: FailureServer>(bench: Bench<S>) {
    bench.push([job_that("wait", 0)]).await;
    let mut stopped = bench.worker(1, 1);
    bench.journal.started(1, SOON).await;
    stopped.stop();

    let second = bench.broker().await;
    let mut taken = second.consume(&JOBS, one_by_one()).await.unwrap();
    let suspect = within(S::TAKEOVER, "the takeover", taken.next()).await;
    let suspect = suspect.unwrap();
    assert_eq!(suspect.message().crashes(), 1);

    stopped.resume();
    stopped.go_on();
    bench.journal.handled(1, SOON).await;
    // It acknowledges, and does not end before it has the answer to that.
    stopped.terminate();
    within(SOON, "its end", stopped.ended()).await;
    suspect.ack().await.unwrap();
    second.close().await.unwrap();
}

/// 7. A handler that aborts its process every time: dead-lettered after 3 deaths, and its neighbours are handled.
pub async fn line_07_a_killer_is_parked_and_its_neighbours_are_not<S: FailureServer>(
    bench: Bench<S>,
) {
    bench
        .push([job(0), job(1), job_that("abort", 2), job(3), job(4)])
        .await;
    for _ in 0..3 {
        let killed = bench.worker(8, 8);
        let status = within(MINUTE, "the killer's death", killed.ended()).await;
        assert!(!status.success());
    }
    let last = bench.worker(8, 8);
    bench.journal.handled(4, MINUTE).await;
    let dead = bench.dead_letters(1).await;
    assert_eq!(dead[0].1[header::DEAD_REASON], "crash");
    assert_eq!(bench.length(&JOBS).await, 0);
    let killed = bench.journal.look(|record| {
        let killers = record.started.iter().filter(|n| **n == 2);
        killers.count()
    });
    assert_eq!(killed, 3);
    ends_well(last).await;
}

/// 8. Invalid JSON, broken UTF-8, an array, a wrong type: parked at once with the error, and the consumer goes on.
pub async fn line_08_what_cannot_be_decoded_is_parked_at_once<S: FailureServer>(bench: Bench<S>) {
    let broken: [&'static [u8]; 5] = [
        b"{",
        b"[1,2]",
        b"\"\xff\"",
        b"{\"n\":\"seven\"}",
        b"{\"n\":\"\xff\"}",
    ];
    let broker = bench.broker().await;
    declare(&broker).await;
    for body in broken {
        send_bytes(&broker, body).await.unwrap();
    }
    bench.push([job(1)]).await;
    let _worker = bench.worker(8, 8);
    bench.journal.handled(1, SOON).await;
    let letters = bench.dead_letters(5).await;
    for (_, headers) in &letters {
        assert_eq!(headers[header::DEAD_REASON], "undecodable");
        assert_eq!(headers[header::DEAD_ATTEMPTS], "1");
        assert!(!headers[header::DEAD_DETAIL].is_empty());
    }
    let mut bodies: Vec<&[u8]> = letters.iter().map(|(body, _)| body.as_ref()).collect();
    let mut expected = broken.to_vec();
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected, "as they came");
}

/// 9. `kill -9` during the delay of a retry, of the consumer that asked for it.
pub async fn line_09_a_retry_outlives_the_process_that_asked_for_it<S: FailureServer>(
    bench: Bench<S>,
) {
    bench.push([job(0)]).await;
    let killed = bench.start("retrier");
    let retries = |record: &Record| record.says("retries") == 1;
    bench.journal.until("the retry", SOON, retries).await;
    killed.kill();

    let broker = bench.broker().await;
    let mut jobs = broker.consume(&JOBS, one_by_one()).await.unwrap();
    let again = next(&mut jobs).await;
    let message = again.message();
    assert_eq!((message.attempt(), message.crashes()), (2, 0));
    again.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// 10. Two messages of the same bytes, of which one fails.
pub async fn line_10_equal_messages_have_attempts_of_their_own<S: FailureServer>(bench: Bench<S>) {
    bench.push([job(0), job(0)]).await;
    let broker = bench.broker().await;
    let two = ConsumeOptions::with_prefetch(2);
    let mut jobs = broker.consume(&JOBS, two).await.unwrap();
    let (fails, waits) = (next(&mut jobs).await, next(&mut jobs).await);
    fails.retry(Duration::ZERO).await.unwrap();
    let again = next(&mut jobs).await;
    assert_eq!(again.message().attempt(), 2);
    again.retry(Duration::ZERO).await.unwrap();
    let third = next(&mut jobs).await;
    let attempts = (third.message().attempt(), waits.message().attempt());
    assert_eq!(attempts, (3, 1));
    waits.retry(Duration::ZERO).await.unwrap();
    assert_eq!(next(&mut jobs).await.message().attempt(), 2);
    third.dead_letter("enough").await.unwrap();
    assert_eq!(bench.length(&DEAD).await, 1);
}
