//! Lines 1 to 10: what becomes of queue messages whose consumers die, hang or fail. Line 5 is with the hub's own tests as well,
//! for hours of virtual time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, QueueBroker, header};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::{
    bench::{Bench, DEAD, JOBS, SOON, job, job_that, next, one_by_one, send, until, within},
    journal::Told,
};

const MINUTE: Duration = Duration::from_secs(60);

/// When what a dead consumer had is with another at the latest.
const REDELIVERED: Duration = Duration::from_secs(30);

/// After which silence the hub takes a process for dead.
const SILENCE: Duration = Duration::from_secs(20);

/// How often processes say that they live.
const PING: Duration = Duration::from_secs(5);

/// How often messages came more than once.
fn duplicates(handled: &BTreeMap<u64, u32>) -> u32 {
    handled.values().map(|times| times - 1).sum()
}

/// 1. `kill -9` of a consumer with 8 in flight of 10,000: each of the 8 is begun twice, and no other.
#[tokio::test]
async fn f01_a_killed_consumer_loses_nothing() {
    let bench = Bench::new();
    let _host = bench.host().await;
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
    until("all acknowledgements to be through", SOON, async || {
        bench.length(&JOBS).await == 10_000 - 1000 - 16
    })
    .await;
    killed.kill();
    let death = Instant::now();

    let mut next = bench.worker(8, 16);
    next.go_on();
    what_it_had_is_handled(&bench, death).await;
    bench.journal.handled(10_000, MINUTE).await;
    let started = bench.journal.look(|told| told.started.len());
    assert_eq!(started, 10_000 + 8);
    let handled = bench.journal.look(|told| told.handled.clone());
    assert_eq!(duplicates(&handled), 0);
    next.signal(Signal::TERM);
    assert!(next.ended().await.success());
    assert_eq!(bench.length(&JOBS).await, 0);
}

/// 1. The same in full flow, where what is handled but not yet acknowledged may come twice.
#[tokio::test]
async fn f01_a_consumer_killed_in_full_flow_repeats_at_most_8() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push((0..10_000).map(job)).await;
    let killed = bench.worker(8, 8);
    bench.journal.handled(1000, MINUTE).await;
    killed.kill();
    let death = Instant::now();

    let next = bench.worker(8, 8);
    what_it_had_is_handled(&bench, death).await;
    bench.journal.handled(10_000, MINUTE).await;
    next.signal(Signal::TERM);
    assert!(next.ended().await.success());
    let handled = bench.journal.look(|told| told.handled.clone());
    let duplicates = duplicates(&handled);
    assert!(duplicates <= 8, "{duplicates} duplicates");
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// Waits until everything is handled that a consumer had begun before its death, and no longer than the contract allows.
async fn what_it_had_is_handled(bench: &Bench, death: Instant) {
    let mut left = bench.journal.look(|told| told.started.clone());
    let handled = |told: &Told| {
        left.retain(|n| !told.handled.contains_key(n));
        left.is_empty()
    };
    let at_most = REDELIVERED.saturating_sub(death.elapsed());
    let what = "what the dead one had begun";
    bench.journal.until(what, at_most, handled).await;
}

/// 2. `kill -9` between the handing out and the handler's start.
#[tokio::test]
async fn f02_what_was_handed_out_and_not_started_is_not_lost() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push([job_that("wait", 0)]).await;
    bench.push((1..8).map(job)).await;
    let killed = bench.worker(1, 8);
    bench.journal.started(1, SOON).await;
    until("all to be handed out", SOON, async || {
        bench.length(&JOBS).await == 0
    })
    .await;
    killed.kill();
    assert_eq!(bench.journal.look(|told| told.started.clone()), [0]);

    let mut next = bench.worker(1, 8);
    next.go_on();
    bench.journal.handled(8, SOON).await;
    next.signal(Signal::TERM);
    assert!(next.ended().await.success());
    let handled = bench.journal.look(|told| told.handled.clone());
    assert_eq!(duplicates(&handled), 0);
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// 3. SIGTERM, then SIGKILL in the drain: nothing new is begun in it, and nothing is lost.
#[tokio::test]
async fn f03_a_kill_during_the_drain_loses_nothing() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push((0..4).map(|n| job_that("wait", n))).await;
    bench.push((4..30).map(job)).await;
    let killed = bench.worker(4, 12);
    bench.journal.started(4, SOON).await;
    killed.signal(Signal::TERM);
    until("the rest to be given back", SOON, async || {
        bench.length(&JOBS).await == 26
    })
    .await;
    killed.kill();
    assert_eq!(bench.journal.look(|told| told.started.len()), 4);

    let mut next = bench.worker(4, 12);
    next.go_on();
    bench.journal.handled(30, SOON).await;
    next.signal(Signal::TERM);
    assert!(next.ended().await.success());
    let handled = bench.journal.look(|told| told.handled.clone());
    assert_eq!(duplicates(&handled), 0);
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// 4. `kill -9` of the host while it recovers what a dead consumer had: the next host has each message once.
#[tokio::test]
async fn f04_a_kill_during_the_recovery_loses_and_copies_nothing() {
    for into_recovery in [0, 1, 3, 10].map(Duration::from_millis) {
        let bench = Bench::new();
        let host = bench.host().await;
        bench.push((0..200).map(|n| job_that("wait", n))).await;
        let killed = bench.worker(200, 200);
        bench.journal.started(200, SOON).await;
        killed.kill();
        // The hub hears of the death at once; here or there on its way through the 200 it dies as well.
        std::thread::sleep(into_recovery);
        host.kill();
        assert_eq!(bench.stored(), 200);

        let mut next = bench.worker(8, 16);
        next.go_on();
        bench.journal.handled(200, SOON).await;
        next.signal(Signal::TERM);
        assert!(next.ended().await.success());
        let handled = bench.journal.look(|told| told.handled.clone());
        assert_eq!(duplicates(&handled), 0);
        assert_eq!(bench.stored(), 0);
    }
}

/// 4. `kill -9` of one heir after the other, each in the middle of its work: what it had comes again, and nothing else.
#[tokio::test]
async fn f04_hosts_that_die_one_after_the_other_lose_nothing() {
    let bench = Bench::new();
    bench.push((0..3000).map(job)).await;
    let mut workers: Vec<_> = (0..4).map(|_| bench.worker(4, 8)).collect();
    let ready = |told: &Told| told.says("works") == 4;
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
    // What the others have in flight when the host dies is delivered again, too; and what they have acknowledged since
    // the last commit, which on a slow disk is more.
    let handled = bench.journal.look(|told| told.handled.clone());
    let duplicates = duplicates(&handled);
    assert!(
        duplicates <= (4 + 3 + 2) * 8 + 3 * 300,
        "{duplicates} duplicates"
    );
}

/// 5. A handler runs for longer than a silent process is taken for alive: it is not delivered to the one who waits for it.
#[tokio::test]
async fn f05_what_a_living_process_handles_is_nobody_elses() {
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
    assert_eq!(bench.journal.look(|told| told.started.clone()), [0]);
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// 6. SIGSTOP until the hub takes the process for dead, another takes over, SIGCONT: the late acknowledgement removes nothing.
#[tokio::test]
async fn f06_a_late_ack_cannot_remove_what_another_has() {
    let bench = Bench::new();
    let host = bench.host().await;
    bench.push([job_that("wait", 0)]).await;
    let mut stopped = bench.worker(1, 1);
    bench.journal.started(1, SOON).await;
    stopped.stop();

    let second = bench.broker().await;
    let mut taken = second.consume(&JOBS, one_by_one()).await.unwrap();
    let suspect = within(Duration::from_secs(40), "the takeover", taken.next()).await;
    let suspect = suspect.unwrap();
    assert_eq!(suspect.message().crashes(), 1);

    stopped.signal(Signal::CONT);
    stopped.go_on();
    bench.journal.handled(1, SOON).await;
    // It acknowledges, and does not end before it has the answer to that.
    stopped.signal(Signal::TERM);
    assert!(within(SOON, "its end", stopped.ended()).await.success());
    suspect.ack().await.unwrap();
    second.close().await.unwrap();
    host.kill();
    assert_eq!(bench.stored(), 0);
}

/// 7. A handler that aborts its process every time: parked after 3 deaths, and its neighbours are handled.
#[tokio::test]
async fn f07_a_killer_is_parked_and_its_neighbours_are_not() {
    let bench = Bench::new();
    let host = bench.host().await;
    a_killer_is_parked(&bench).await;
    host.kill();
    assert_eq!(bench.stored(), 1);
}

/// 7. The same where the process that dies is the host itself.
#[tokio::test]
async fn f07_a_killer_of_hosts_is_parked_and_its_neighbours_are_not() {
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
    let killed = bench.journal.look(|told| {
        let killers = told.started.iter().filter(|n| **n == 2);
        killers.count()
    });
    assert_eq!(killed, 3);
    last.signal(Signal::TERM);
    assert!(last.ended().await.success());
}

/// 8. Invalid JSON, broken UTF-8, an array, a wrong type: parked at once with the error, and the consumer goes on.
#[tokio::test]
async fn f08_what_cannot_be_decoded_is_parked_at_once() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let broken: [&'static [u8]; 5] = [
        b"{",
        b"[1,2]",
        b"\"\xff\"",
        b"{\"n\":\"seven\"}",
        b"{\"n\":\"\xff\"}",
    ];
    let broker = bench.broker().await;
    for body in broken {
        send(&broker, body).await.unwrap();
    }
    bench.push([job(1)]).await;
    let _worker = bench.worker(8, 8);
    bench.journal.handled(1, SOON).await;
    until("the dead letters", SOON, async || {
        bench.length(&DEAD).await == 5
    })
    .await;
    let letters = broker.peek(&DEAD, 9).await.unwrap();
    for letter in &letters {
        let headers: BTreeMap<_, _> = letter.headers().collect();
        assert_eq!(headers[header::DEAD_REASON], "undecodable");
        assert_eq!(headers[header::DEAD_ATTEMPTS], "1");
        assert!(!headers[header::DEAD_DETAIL].is_empty());
    }
    let mut bodies: Vec<_> = letters.iter().map(|letter| letter.payload()).collect();
    let mut expected = broken.to_vec();
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected, "as they came");
}

/// 9. `kill -9` during the delay of a retry, of the consumer that is the host as well.
#[tokio::test]
async fn f09_a_retry_outlives_the_process_that_asked_for_it() {
    let bench = Bench::new();
    bench.push([job(0)]).await;
    let killed = bench.start("retrier");
    let retries = |told: &Told| told.says("retries") == 1;
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

/// 10. Two messages of the same bytes, of which one fails.
#[tokio::test]
async fn f10_equal_messages_have_attempts_of_their_own() {
    let bench = Bench::new();
    let _host = bench.host().await;
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
