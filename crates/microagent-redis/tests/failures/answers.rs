//! Answers of the server that are lost, late or never come: nothing is lost, stuck or done twice for that.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{
    DeadReason, ErrorKind, Lease, Leases, Queue, QueueBroker, Selection, Settlement,
};
use redis::AsyncCommands;

use crate::{
    bench::{
        Bench, DEAD, JOBS, LEASE, Log, RECOVERY, bench, consume, job, kind_of, next, number_of,
        send, until, within,
    },
    proxy::{Fault, Proxy},
    worker::{Options, Worker},
};

microagent_testing::needs! {
    redis {
        async fn line_18_a_server_that_is_silent_at_any_step_is_noticed,
        async fn line_18_a_server_that_is_silent_to_a_heartbeat_or_a_sweep_is_noticed,
        async fn line_64_a_stop_while_an_answer_is_missing_is_clean,
        async fn line_66_a_lost_answer_to_a_take_loses_and_repeats_nothing,
        async fn line_66_what_a_late_take_took_from_a_busy_consumer_is_back_in_the_queue,
        async fn line_66_a_lost_answer_to_the_take_of_a_suspect_counts_no_crash,
        async fn line_66_a_settlement_whose_answer_is_lost_is_confirmed,
        async fn line_66_an_unknown_outcome_is_told,
        async fn line_18_a_look_at_a_queue_ends_when_the_server_is_silent,
    }
}

/// The steps of a driver: the names of scripts, and of other commands.
const JOIN: &str = "join new";
const HEARTBEAT: &str = "join again";
const APPEAR: &str = "reconcile";
const CLIENT_ID: &str = "client id";
pub(crate) const TAKE: &str = "take";
const TAKE_SUSPECT: &str = "suspect";
pub(crate) const WAIT: &str = "wait";
const ACK: &str = "ack";
const RETRY: &str = "retry";
const DEAD_LETTER: &str = "dead_letter";
const GIVE_BACK: &str = "give_back";
const SWEEP: &str = "expired";
const REQUEUE: &str = "requeue";
const PURGE: &str = "purge";
const HOLD: &str = "hold";

/// Returns the bytes that identify a step in a request: for a script, its SHA-1.
pub(crate) fn request_of(step: &str) -> String {
    match step {
        // Both are `join.lua`, with different arguments.
        JOIN => "\r\nnew\r\n".to_owned(),
        HEARTBEAT => "\r\nagain\r\n".to_owned(),
        CLIENT_ID => "CLIENT\r\n$2\r\nID".to_owned(),
        WAIT => "BLMOVE".to_owned(),
        script => {
            let source = |name: &str| {
                let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/broker/lua");
                std::fs::read_to_string(format!("{folder}/{name}.lua")).unwrap()
            };
            let text = source("common") + &source(script);
            redis::Script::new(&text).get_hash().to_owned()
        }
    }
}

/// Has the server know all scripts, so that a command which meets a fault is the one that does it; otherwise the first time each
/// is only asked for.
async fn warm_up(bench: &mut Bench) {
    let broker = bench.driver().await;
    bench.push((0..4).map(job)).await;
    let mut jobs = consume(&broker, 1).await;
    for settlement in [retry(), dead_letter(), Settlement::Return, Settlement::Ack] {
        next(&mut jobs).await.settle(settlement).await.unwrap();
    }
    suspect(bench).await;
    until("a suspect", RECOVERY, async || {
        let delivery = next(&mut jobs).await;
        let crashes = delivery.message().crashes();
        delivery.ack().await.unwrap();
        crashes == 1
    })
    .await;
    let other = Queue::new("other");
    assert_eq!(
        broker
            .requeue(&DEAD, &other, &Selection::First(1))
            .await
            .unwrap(),
        1
    );
    broker.purge(&DEAD, &Selection::All).await.unwrap();
    broker.lease("nightly", "me", LEASE).await.unwrap();
    broker.close().await.unwrap();
    bench.server.command(&["FLUSHALL"]).await.unwrap();
}

fn retry() -> Settlement {
    Settlement::Retry {
        after: Duration::ZERO,
        reason: "no".into(),
    }
}

fn dead_letter() -> Settlement {
    Settlement::DeadLetter {
        queue: "jobs.dead".into(),
        reason: DeadReason::Failed,
        detail: "no".into(),
    }
}

/// Makes a suspect of a job: its consumer takes it and dies.
async fn suspect(bench: &mut Bench) {
    let () = bench
        .look
        .hset("{jobs}:later", 7, job(0).to_string())
        .await
        .unwrap();
    let () = bench.look.hset("{jobs}:meta", 7, "1 1").await.unwrap();
    let () = bench.look.zadd("{jobs}:suspects", 7, 1).await.unwrap();
}

/// Each step of a consumer at which the server may go silent: it goes on over another connection, by itself and soon, and says
/// in the log that something was wrong.
async fn line_18_a_server_that_is_silent_at_any_step_is_noticed() {
    for (step, fault) in [
        (JOIN, Fault::Silence),
        (APPEAR, Fault::Silence),
        (CLIENT_ID, Fault::Silence),
        (TAKE, Fault::Silence),
        (TAKE, Fault::Mute),
        (TAKE_SUSPECT, Fault::Silence),
        (TAKE_SUSPECT, Fault::Mute),
        (WAIT, Fault::Silence),
        (WAIT, Fault::Mute),
    ] {
        let mut bench = bench().await;
        warm_up(&mut bench).await;
        let log = Log::default();
        let _recorded = log.record();
        let proxy = Proxy::to(bench.server.address()).await;
        proxy.fail_at(&request_of(step), fault);
        if step == TAKE_SUSPECT {
            suspect(&mut bench).await;
        } else {
            bench.push([job(0)]).await;
        }
        let broker = bench.driver_over(&proxy).await;
        let mut jobs = consume(&broker, 3).await;
        next(&mut jobs).await.ack().await.unwrap();
        until("the fault", RECOVERY, async || proxy.has_failed()).await;
        bench.push([job(1)]).await;
        let delivery = next(&mut jobs).await;
        assert_eq!(number_of(&delivery), 1, "{step:?} {fault:?}");
        delivery.ack().await.unwrap();
        until("the warning", RECOVERY, async || {
            log.text().contains("cannot take messages from the queue")
        })
        .await;
        bench.assert_nothing_is_left().await;
        assert!(!log.text().contains("a consumer died"), "{}", log.text());
    }
}

/// Background work over the shared connection goes on, too.
async fn line_18_a_server_that_is_silent_to_a_heartbeat_or_a_sweep_is_noticed() {
    for step in [HEARTBEAT, SWEEP] {
        let mut bench = bench().await;
        warm_up(&mut bench).await;
        let proxy = Proxy::to(bench.server.address()).await;
        let broker = bench.driver_over(&proxy).await;
        let mut jobs = consume(&broker, 1).await;
        bench.push([job(0)]).await;
        let held = next(&mut jobs).await;
        proxy.fail_at(&request_of(step), Fault::Silence);
        until("the fault", RECOVERY, async || proxy.has_failed()).await;
        let error = within(RECOVERY, "an answer", async {
            loop {
                if let Err(error) = broker.length(&JOBS).await {
                    return error;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{step:?}: {error}");
        within(RECOVERY, "the next connection", broker.ready())
            .await
            .unwrap();
        drop(held);
    }
}

/// SIGTERM while the consumer waits for an answer that never comes: the end of the process is clean and soon.
async fn line_64_a_stop_while_an_answer_is_missing_is_clean() {
    for (step, fault) in [
        (JOIN, Fault::Silence),
        (TAKE, Fault::Silence),
        (TAKE, Fault::Mute),
        (WAIT, Fault::Silence),
        (WAIT, Fault::Mute),
    ] {
        let mut bench = bench().await;
        warm_up(&mut bench).await;
        let proxy = Proxy::to(bench.server.address()).await;
        proxy.fail_at(&request_of(step), fault);
        bench.push([job(0)]).await;
        if step == WAIT {
            let () = bench.look.del("jobs").await.unwrap();
        }
        let worker = Worker::start_at(&proxy.dsn(), Options::default());
        until("the fault", RECOVERY, async || proxy.has_failed()).await;
        worker.signal(rustix::process::Signal::TERM);
        let status = within(Duration::from_secs(4), "the end", worker.ended()).await;
        assert!(status.success(), "{step:?} {fault:?}: {status}");
        if step != WAIT {
            assert_eq!(bench.length("jobs").await, 1, "{step:?} {fault:?}");
        }
        let mut look = bench.look.clone();
        let left: Vec<String> = look.keys("{jobs}:[tl]*").await.unwrap();
        assert!(left.is_empty(), "{step:?} {fault:?}: {left:?}");
    }
}

/// The answer to a take is lost after the server has carried it out, or the take arrives when its sender has given up: what was
/// taken is delivered, once, without a crash and with nothing left behind.
async fn line_66_a_lost_answer_to_a_take_loses_and_repeats_nothing() {
    for fault in [Fault::Cut, Fault::Mute, Fault::Late(Duration::from_secs(7))] {
        let mut bench = bench().await;
        warm_up(&mut bench).await;
        let log = Log::default();
        let _recorded = log.record();
        let proxy = Proxy::to(bench.server.address()).await;
        let broker = bench.driver_over(&proxy).await;
        proxy.fail_at(&request_of(TAKE), fault);
        bench.push((0..50).map(job)).await;
        let mut jobs = consume(&broker, 16).await;
        let mut numbers = Vec::new();
        for _ in 0..50 {
            let delivery = next(&mut jobs).await;
            assert_eq!(
                (delivery.message().attempt(), delivery.message().crashes()),
                (1, 0)
            );
            numbers.push(number_of(&delivery));
            delivery.ack().await.unwrap();
        }
        until("the fault", RECOVERY, async || proxy.has_failed()).await;
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50, "{fault:?}");
        bench.assert_nothing_is_left().await;
        assert!(!log.text().contains("a consumer died"), "{}", log.text());
    }
}

/// The same for a take that is late while the consumer has no room: what it took is back in the queue, for any consumer.
async fn line_66_what_a_late_take_took_from_a_busy_consumer_is_back_in_the_queue() {
    let mut bench = bench().await;
    warm_up(&mut bench).await;
    let proxy = Proxy::to(bench.server.address()).await;
    let broker = bench.driver_over(&proxy).await;
    let mut jobs = consume(&broker, 1).await;
    bench.push([job(0)]).await;
    let first = next(&mut jobs).await;
    proxy.fail_at(&request_of(TAKE), Fault::Late(Duration::from_secs(8)));
    first.ack().await.unwrap();
    until("the fault", RECOVERY, async || proxy.has_failed()).await;
    bench.push([job(1)]).await;
    let held = next(&mut jobs).await;
    bench.push([job(2)]).await;
    let mut look = bench.look.clone();
    until("the late take", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() == 0
    })
    .await;
    until("what it took", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() == 1
    })
    .await;
    held.ack().await.unwrap();
    let delivery = next(&mut jobs).await;
    assert_eq!(number_of(&delivery), 2);
    delivery.ack().await.unwrap();
    bench.assert_nothing_is_left().await;
}

/// A take of a suspect whose answer is lost: it is delivered, alone and with the crashes that it had.
async fn line_66_a_lost_answer_to_the_take_of_a_suspect_counts_no_crash() {
    let mut bench = bench().await;
    warm_up(&mut bench).await;
    let proxy = Proxy::to(bench.server.address()).await;
    let broker = bench.driver_over(&proxy).await;
    proxy.fail_at(&request_of(TAKE_SUSPECT), Fault::Cut);
    suspect(&mut bench).await;
    let mut jobs = consume(&broker, 3).await;
    let delivery = next(&mut jobs).await;
    assert!(proxy.has_failed());
    assert_eq!(delivery.message().crashes(), 1);
    delivery.ack().await.unwrap();
    bench.assert_nothing_is_left().await;
}

/// A settlement that was carried out and whose answer is lost: it is confirmed, and done once.
async fn line_66_a_settlement_whose_answer_is_lost_is_confirmed() {
    for (command, waiting, dead) in [
        (ACK, 0, 0),
        (RETRY, 1, 0),
        (DEAD_LETTER, 0, 1),
        (GIVE_BACK, 1, 0),
    ] {
        let mut bench = bench().await;
        warm_up(&mut bench).await;
        let proxy = Proxy::to(bench.server.address()).await;
        let broker = bench.driver_over(&proxy).await;
        let mut jobs = consume(&broker, 1).await;
        bench.push([job(0)]).await;
        let delivery = next(&mut jobs).await;
        proxy.fail_at(&request_of(command), Fault::Cut);
        let settlement = match command {
            ACK => Settlement::Ack,
            RETRY => retry(),
            DEAD_LETTER => dead_letter(),
            _ => Settlement::Return,
        };
        within(RECOVERY, "the settlement", delivery.settle(settlement))
            .await
            .expect(command);
        assert!(proxy.has_failed(), "{command:?}");
        let mut delivered = 0;
        while delivered < waiting {
            let delivery = next(&mut jobs).await;
            delivery.ack().await.unwrap();
            delivered += 1;
        }
        bench.assert_nothing_is_left().await;
        assert_eq!(bench.length("jobs.dead").await, dead, "{command:?}");
        let more = tokio::time::timeout(LEASE, jobs.next()).await;
        assert!(more.is_err(), "{command:?} was done twice");
    }
}

/// The error of a command that cannot be repeated tells that its outcome is unknown; that of a command that was not sent does not.
async fn line_66_an_unknown_outcome_is_told() {
    let mut bench = bench().await;
    warm_up(&mut bench).await;
    let proxy = Proxy::to(bench.server.address()).await;
    let broker = bench.driver_over(&proxy).await;
    bench.push([job(0), job(1)]).await;

    proxy.fail_at("RPUSH", Fault::Cut);
    let sent = send(&broker, job(2)).await.unwrap_err();
    broker.ready().await.unwrap();
    proxy.fail_at(&request_of(REQUEUE), Fault::Cut);
    let moved = broker
        .requeue(&JOBS, &DEAD, &Selection::First(1))
        .await
        .unwrap_err();
    broker.ready().await.unwrap();
    proxy.fail_at(&request_of(PURGE), Fault::Cut);
    let removed = broker.purge(&JOBS, &Selection::All).await.unwrap_err();
    broker.ready().await.unwrap();
    proxy.fail_at(&request_of(HOLD), Fault::Cut);
    let held = broker.lease("nightly", "me", LEASE).await.unwrap_err();
    for (error, what) in [
        (sent, "may or may not have been sent"),
        (moved, "may or may not have been moved"),
        (removed, "may or may not have been removed"),
        (held, "may or may not be held"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert_eq!(bench.length("jobs.dead").await, 1, "it was carried out");
    broker.ready().await.unwrap();
    assert_eq!(
        broker.lease("nightly", "me", LEASE).await.unwrap(),
        Lease::Granted
    );

    bench.server.kill();
    until("the loss to be noticed", RECOVERY, async || {
        broker.length(&JOBS).await.is_err()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = send(&broker, job(3)).await.unwrap_err();
    assert!(!error.to_string().contains("may or may not"), "{error}");
}

/// Looks at a queue are bounded, too.
async fn line_18_a_look_at_a_queue_ends_when_the_server_is_silent() {
    let mut bench = bench().await;
    warm_up(&mut bench).await;
    let broker = bench.driver().await;
    bench.server.freeze();
    let queue = Queue::new("jobs");
    let peeked = within(RECOVERY, "an error", broker.peek(&queue, 3)).await;
    assert_eq!(kind_of(peeked), ErrorKind::Unavailable);
    let length = within(RECOVERY, "an error", broker.length(&queue)).await;
    assert_eq!(kind_of(length), ErrorKind::Unavailable);
    bench.server.thaw();
}
