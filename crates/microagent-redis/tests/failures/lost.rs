//! Lines 66 and 67: stalls for longer than a lease, and leases, counters and whole databases that vanish under a running consumer.

use std::{env, time::Duration};

use microagent_core::{Queue, QueueBroker, Selection};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::json;

use crate::{
    answers::{TAKE, WAIT, request_of},
    bench::{JOBS, LEASE, Log, RECOVERY, bench, consume, job, next, number_of, until},
    proxy::{Fault, Proxy},
    worker::{Options, Worker},
};

microagent_testing::needs! {
    redis {
        async fn line_67_after_a_flush_everything_that_is_sent_is_handled,
        async fn line_67_the_log_tells_what_a_flush_means_for_messages_in_flight,
        async fn line_67_without_its_counter_no_id_comes_twice,
        async fn line_66_a_blocked_runtime_loses_nothing,
        async fn line_66_late_answers_to_a_take_lose_nothing,
        async fn line_66_what_a_dead_consumer_had_put_aside_is_delivered_and_counted,
        async fn line_66_what_has_no_lease_is_found_and_recovered,
    }
}

/// With this set to a number, the tests of stalls are done so often, with the lease and the stalls of real use.
const ROUNDS: &str = "MICROAGENT_TEST_ROUNDS";

/// Returns the duration of a lease, the duration of the stalls, and the number of rounds.
fn stalls() -> (Duration, Duration, usize) {
    match env::var(ROUNDS) {
        Ok(rounds) => (
            Duration::from_secs(10),
            Duration::from_secs(22),
            rounds.parse().unwrap(),
        ),
        Err(_) => (LEASE, LEASE.mul_f64(2.5), 1),
    }
}

async fn wait_for_waiting(look: &MultiplexedConnection) {
    let mut look = look.clone();
    until("a consumer to wait", RECOVERY, async || {
        let clients: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut look)
            .await
            .unwrap();
        clients.contains("cmd=blmove")
    })
    .await;
}

/// 67. Everything vanishes under a consumer that waits: what is sent afterwards is handled, all of it.
async fn line_67_after_a_flush_everything_that_is_sent_is_handled() {
    for _ in 0..stalls().2 {
        let mut bench = bench().await;
        let options = Options {
            lease: stalls().0,
            ..Options::default()
        };
        let _worker = Worker::start(&bench, options);
        bench.push([job(0)]).await;
        bench.wait_for_handled(1, RECOVERY).await;
        wait_for_waiting(&bench.look).await;
        bench.server.command(&["FLUSHALL"]).await.unwrap();
        for n in 1..=20 {
            bench.push([job(n)]).await;
        }
        bench.wait_for_handled(20, RECOVERY).await;
        bench.assert_nothing_is_left().await;
    }
}

/// 67. Messages in flight are gone with the rest, and the log says so. If only a lease vanishes, nothing is lost.
async fn line_67_the_log_tells_what_a_flush_means_for_messages_in_flight() {
    let mut bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 2).await;
    bench.push([job(0)]).await;
    let held = next(&mut jobs).await;
    bench.server.command(&["FLUSHALL"]).await.unwrap();
    bench.push([job(1)]).await;
    let after = next(&mut jobs).await;
    assert_eq!(number_of(&after), 1);
    assert!(
        log.text().contains("will not be delivered again"),
        "{}",
        log.text()
    );
    assert_ne!(
        held.message().id(),
        after.message().id(),
        "a late settlement must not meet it"
    );
    let error = held.ack().await.unwrap_err();
    assert!(
        error.to_string().contains("may be delivered again"),
        "{error}"
    );

    let () = bench.look.del("{jobs}:leases").await.unwrap();
    let mut look = bench.look.clone();
    until("the lease to be back", RECOVERY, async || {
        look.exists("{jobs}:leases").await.unwrap()
    })
    .await;
    after.ack().await.expect("nobody had taken it");
    bench.assert_nothing_is_left().await;
}

/// 67. The counter of ids vanishes: no two messages get the same id, and none overwrites another.
async fn line_67_without_its_counter_no_id_comes_twice() {
    let mut bench = bench().await;
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 8).await;
    let mut held = Vec::new();
    for (n, counter) in ["", "12", "no number", "-3", "9e99"]
        .into_iter()
        .enumerate()
    {
        bench.push([job(n as u64)]).await;
        held.push(next(&mut jobs).await);
        let () = match counter {
            "" => bench.look.del("{jobs}:ids").await.unwrap(),
            counter => bench.look.set("{jobs}:ids", counter).await.unwrap(),
        };
    }
    let mut ids: Vec<_> = held.iter().map(|job| job.message().id().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    for job in held {
        job.ack().await.unwrap();
    }
    bench.assert_nothing_is_left().await;
}

/// 66. The runtime of one consumer is blocked for longer than its lease and a sweep, while another one lives.
async fn line_66_a_blocked_runtime_loses_nothing() {
    let (lease, stall, rounds) = stalls();
    for _ in 0..rounds {
        let mut bench = bench().await;
        let options = Options {
            lease,
            ..Options::default()
        };
        let _blocked = Worker::start(&bench, options);
        let blocks = stall.as_millis() as u64;
        bench
            .push((0..2).map(|n| json!({"n": n, "blocks": blocks})))
            .await;
        bench.wait_for_started(2).await;
        let _other = Worker::start(&bench, options);
        for n in 2..60 {
            bench.push([job(n)]).await;
            tokio::time::sleep(stall / 50).await;
        }
        bench
            .wait_for_handled(60, stall + 3 * lease + RECOVERY)
            .await;
        bench.assert_nothing_is_left().await;
    }
}

/// 66. The answers to one consumer are late by more than its lease and a sweep, beginning with that to a wait.
#[tokio::test]
async fn line_66_late_answers_to_a_wait_lose_nothing() {
    late_answers_lose_nothing(WAIT).await;
}

/// 66. The same, beginning with the answer to a take: the wait that follows it is under another identity.
async fn line_66_late_answers_to_a_take_lose_nothing() {
    late_answers_lose_nothing(TAKE).await;
}

async fn late_answers_lose_nothing(first: &str) {
    let (lease, stall, rounds) = stalls();
    for _ in 0..rounds {
        let mut bench = bench().await;
        let options = Options {
            lease,
            ..Options::default()
        };
        let proxy = Proxy::to(bench.server.address()).await;
        let _stalled = Worker::start_at(&proxy.dsn(), options);
        bench.push([job(0)]).await;
        bench.wait_for_handled(1, RECOVERY).await;
        wait_for_waiting(&bench.look).await;
        let _other = Worker::start(&bench, options);
        proxy.fail_at(&request_of(first), Fault::Stall(stall));
        until("the stall", RECOVERY, async || proxy.has_failed()).await;
        for n in 1..60 {
            if n == 45 {
                proxy.delay_answers(Duration::ZERO);
            }
            bench.push([job(n)]).await;
            tokio::time::sleep(stall / 50).await;
        }
        bench
            .wait_for_handled(60, stall + 3 * lease + RECOVERY)
            .await;
        bench.assert_nothing_is_left().await;
    }
}

/// 66. The process dies between the move out of the list and the take: the message is not its own, any consumer gets it.
async fn line_66_what_a_dead_consumer_had_put_aside_is_delivered_and_counted() {
    let mut bench = bench().await;
    let () = bench
        .look
        .rpush("{jobs}:inbox", job(0).to_string())
        .await
        .unwrap();
    let broker = bench.driver().await;
    assert_eq!(broker.length(&JOBS).await.unwrap(), 1);
    assert_eq!(broker.peek(&JOBS, 9).await.unwrap().len(), 1);
    bench.push([job(1)]).await;
    let mut jobs = consume(&broker, 2).await;
    for n in [0, 1] {
        let delivery = next(&mut jobs).await;
        assert_eq!(
            number_of(&delivery),
            n,
            "in the order in which they were in the list"
        );
        delivery.ack().await.unwrap();
    }
    bench.assert_nothing_is_left().await;
    let () = bench
        .look
        .rpush("{jobs}:inbox", job(2).to_string())
        .await
        .unwrap();
    let () = bench.look.rpush("other", "x").await.unwrap();
    let idle = bench.driver().await;
    assert_eq!(
        idle.requeue(&JOBS, &Queue::new("other"), &Selection::All)
            .await
            .unwrap(),
        1
    );
    let () = bench
        .look
        .rpush("{jobs}:inbox", job(3).to_string())
        .await
        .unwrap();
    assert_eq!(idle.purge(&JOBS, &Selection::All).await.unwrap(), 1);
}

/// 66. Lists and hashes of consumers without a lease, as an earlier version may leave them: any consumer's sweep finds them.
async fn line_66_what_has_no_lease_is_found_and_recovered() {
    let mut bench = bench().await;
    let () = bench
        .look
        .rpush("{jobs}:inbox:1-old", job(0).to_string())
        .await
        .unwrap();
    let () = bench
        .look
        .hset("{jobs}:taken:2-old", 7, job(1).to_string())
        .await
        .unwrap();
    // Keys of others, so that one look is not enough to see all.
    for chunk in 0..20 {
        let mut pipe = redis::pipe();
        for n in 0..100 {
            pipe.set(format!("other:{chunk}:{n}"), 1).ignore();
        }
        let () = pipe.query_async(&mut bench.look).await.unwrap();
    }
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 1).await;
    let mut crashes = std::collections::BTreeMap::new();
    while crashes.len() < 2 {
        let delivery = next(&mut jobs).await;
        crashes.insert(number_of(&delivery), delivery.message().crashes());
        delivery.ack().await.unwrap();
    }
    assert_eq!(crashes.into_iter().collect::<Vec<_>>(), [(0, 0), (1, 1)]);
    bench.assert_nothing_is_left().await;
}
