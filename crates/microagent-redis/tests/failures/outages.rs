//! Lines 11 to 16: what the broker makes of a server that goes, refuses, is full or is another.

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, ErrorKind, QueueBroker, SignalBus};
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::RedisServer;
use redis::AsyncCommands;
use serde_json::json;

use crate::{
    bench::{
        JOBS, LEASE, Log, PATIENCE, RECOVERY, bench, bench_with, consume, job, kind_of, next,
        number_of, send, until, within,
    },
    proxy::Proxy,
    worker::{Options, Worker},
};

microagent_testing::needs! {
    redis {
        async fn line_11_consuming_goes_on_after_a_restart,
        async fn line_11_no_confirmed_send_is_lost,
        async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for,
        async fn line_12_bad_credentials_and_a_bad_database_are_errors_at_once,
        async fn line_13_a_full_memory_refuses_sends_and_loses_nothing,
        async fn line_13_a_refused_settlement_leads_to_redelivery,
        async fn line_13_an_evicting_server_is_warned_of,
        async fn line_14_a_fail_over_leaves_no_consumer_stuck,
        async fn line_15_a_million_that_wait_take_no_memory,
        async fn line_16_a_list_is_all_that_a_peer_must_know,
        async fn line_65_a_stop_while_the_server_stands_still_returns_each_message_once,
    }
}

const SOON: Duration = Duration::from_secs(5);

/// 11. The server is killed and comes back: consuming again within 5 s, in the same process.
async fn line_11_consuming_goes_on_after_a_restart() {
    let mut bench = bench().await;
    let broker = bench.driver().await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(4))
        .await
        .unwrap();
    bench.push([job(0)]).await;
    let held = within(RECOVERY, "a job", jobs.next()).await.unwrap();
    bench.push([job(1)]).await;
    let before = within(RECOVERY, "a job", jobs.next()).await.unwrap();

    // Long enough for the pauses between the attempts to have grown to their longest.
    bench.outage(Duration::from_secs(8)).await;
    bench.push([job(2)]).await;
    let after = within(SOON, "a job after the restart", jobs.next())
        .await
        .unwrap();
    assert_eq!(&after.message().payload()[..], br#"{"n":2}"#);
    for delivery in [held, before, after] {
        delivery
            .ack()
            .await
            .expect("what was taken before can be settled after");
    }
    bench.assert_nothing_is_left().await;
}

/// 11. Confirmed messages survive a `kill -9` of the server.
async fn line_11_no_confirmed_send_is_lost() {
    let mut bench = bench().await;
    let broker = bench.broker().await;
    let sending = tokio::spawn({
        let broker = broker.clone();
        async move {
            let mut confirmed = Vec::new();
            for n in 0_u64.. {
                match broker.send(JOBS, &json!({"n": n})).await {
                    Ok(()) => confirmed.push(n),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                        return confirmed;
                    }
                }
            }
            confirmed
        }
    });
    let mut look = bench.look.clone();
    until("a thousand to be sent", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() > 1000
    })
    .await;
    bench.outage(Duration::from_secs(2)).await;
    let confirmed = within(SOON, "an error for the sender", sending)
        .await
        .unwrap();
    let there: Vec<String> = bench.look.lrange("jobs", 0, -1).await.unwrap();
    for n in confirmed {
        assert!(there.contains(&job(n).to_string()), "{n} was confirmed");
    }
    // And sending goes on.
    broker.ready().await.unwrap();
    broker.send(JOBS, &json!({"n": 0})).await.unwrap();
}

/// 12. The server is absent at the start: no error, not ready, and all of it works when it comes.
async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for() {
    let bench = bench().await;
    bench.server.kill();
    let broker = bench.driver().await;
    let bus = bench.bus_driver().await;
    let ready = tokio::time::timeout(Duration::from_secs(1), broker.ready()).await;
    assert!(ready.is_err(), "there is nobody to be ready for");
    let sent = send(&broker, json!({}));
    assert_eq!(kind_of(sent.await), ErrorKind::Unavailable);
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::default())
        .await
        .unwrap();

    let (subscribed, restarted) = tokio::join!(bus.subscribe("P:s:*"), bench.server.restart());
    let (mut events, ()) = (subscribed.unwrap(), restarted.unwrap());
    within(SOON, "the broker", broker.ready()).await.unwrap();
    within(SOON, "the bus", bus.ready()).await.unwrap();
    bus.publish("P:s:a", "{}".into()).await.unwrap();
    within(SOON, "the signal", events.next()).await.unwrap();
    let sent = send(&broker, json!({}));
    sent.await.unwrap();
    within(SOON, "the job", jobs.next())
        .await
        .unwrap()
        .ack()
        .await
        .unwrap();
}

/// 12. Errors that waiting does not change are returned at once.
async fn line_12_bad_credentials_and_a_bad_database_are_errors_at_once() {
    let mut bench = bench().await;
    bench.set("requirepass", "s3cret").await;
    let address = bench.server.address();
    let cases = [
        (format!("redis://{address}/7"), ErrorKind::Refused),
        (format!("redis://:wrong@{address}/7"), ErrorKind::Refused),
        (
            format!("redis://nobody:s3cret@{address}/7"),
            ErrorKind::Refused,
        ),
        (
            format!("redis://:s3cret@{address}/99"),
            ErrorKind::Configuration,
        ),
    ];
    for (dsn, kind) in cases {
        let options = RedisOptions::parse(&dsn).unwrap();
        let broker = within(SOON, "an error", RedisBroker::connect(&options))
            .await
            .unwrap_err();
        let bus = within(SOON, "an error", RedisBus::connect(&options))
            .await
            .unwrap_err();
        for error in [broker, bus] {
            assert_eq!(error.kind(), kind, "{dsn}: {error}");
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("s3cret") && !text.contains("wrong"),
                "{text}"
            );
        }
    }
    let right = RedisOptions::parse(&format!("redis://:s3cret@{address}/7")).unwrap();
    RedisBroker::connect(&right)
        .await
        .unwrap()
        .ready()
        .await
        .unwrap();
}

/// 13. Memory is full and nothing may be evicted: sending fails, what waits can still be handled, and nothing is lost.
async fn line_13_a_full_memory_refuses_sends_and_loses_nothing() {
    let mut bench = bench().await;
    bench.push((0..10).map(job)).await;
    let broker = bench.driver().await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(3))
        .await
        .unwrap();
    let mut next = async || within(RECOVERY, "a job", jobs.next()).await.unwrap();
    let (acked, retried, buried) = (next().await, next().await, next().await);
    bench.set("maxmemory", "1").await;

    let sent = send(&broker, json!({})).await;
    let error = sent.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    acked.ack().await.unwrap();
    retried.retry(Duration::ZERO).await.unwrap();
    buried.dead_letter("no").await.unwrap();
    // Past the lease: its heartbeat is taken, or what it has in flight would be another's.
    tokio::time::sleep(LEASE * 2).await;
    let mut left = 0;
    while left < 8 {
        let job = next().await;
        assert_eq!(job.message().crashes(), 0);
        job.ack().await.unwrap();
        left += 1;
    }
    assert_eq!(bench.length("jobs.dead").await, 1);
    bench.set("maxmemory", "0").await;
    bench.assert_nothing_is_left().await;
}

/// 13. A settlement that the server refuses leads to redelivery, not to loss.
async fn line_13_a_refused_settlement_leads_to_redelivery() {
    let mut bench = bench().await;
    bench.push([job(0)]).await;
    let () = bench.look.set("jobs.dead", "no list").await.unwrap();
    let broker = bench.driver().await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(3))
        .await
        .unwrap();
    let first = within(RECOVERY, "a job", jobs.next()).await.unwrap();
    let error = first.dead_letter("no").await.unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    let again = within(RECOVERY, "the job again", jobs.next())
        .await
        .unwrap();
    again.ack().await.unwrap();
    bench.assert_nothing_is_left().await;
}

/// 13. A server that may evict queues is warned of at the start.
async fn line_13_an_evicting_server_is_warned_of() {
    for (policy, warned) in [("allkeys-lru", true), ("noeviction", false)] {
        let bench = bench_with(&["--maxmemory-policy", policy]).await;
        let log = Log::default();
        let _recorded = log.record();
        let broker = bench.driver().await;
        broker.ready().await.unwrap();
        if warned {
            until("the warning", SOON, async || {
                log.text().contains("maxmemory-policy noeviction")
            })
            .await;
        } else {
            // The look was sent before this.
            broker.length(&JOBS).await.unwrap();
            assert!(!log.text().contains("evict"), "{}", log.text());
        }
    }
}

/// 14. The server becomes a replica, and the address leads to another: consuming and sending go on there.
async fn line_14_a_fail_over_leaves_no_consumer_stuck() {
    let mut bench = bench().await;
    let next = RedisServer::start().await.unwrap();
    let proxy = Proxy::to(bench.server.address()).await;
    let options = RedisOptions::parse(&proxy.dsn()).unwrap();
    let broker = RedisBroker::connect_with_lease(&options, LEASE)
        .await
        .unwrap();
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(3))
        .await
        .unwrap();
    bench.push([job(0)]).await;
    within(RECOVERY, "a job", jobs.next())
        .await
        .unwrap()
        .ack()
        .await
        .unwrap();

    proxy.lead_to(next.address());
    let port = next.address().split(':').next_back().unwrap().to_owned();
    bench
        .server
        .command(&["REPLICAOF", "127.0.0.1", &port])
        .await
        .unwrap();
    until("sending to the new primary", 2 * SOON, async || {
        let sent = send(&broker, job(1));
        sent.await.is_ok()
    })
    .await;
    let job = within(2 * SOON, "the job of the new primary", jobs.next())
        .await
        .unwrap();
    job.ack().await.unwrap();
}

/// 15. A backlog of a million: at most `prefetch` are out of the list, and the memory of the process is flat.
async fn line_15_a_million_that_wait_take_no_memory() {
    const BACKLOG: usize = 1_000_000;
    let mut bench = bench().await;
    let fill = "for n = 1, ARGV[1] do redis.call('RPUSH', KEYS[1], '{\"n\":' .. n .. ',\"ms\":60000}') end";
    let fill = redis::Script::new(fill);
    let () = fill
        .key("jobs")
        .arg(BACKLOG)
        .invoke_async(&mut bench.look)
        .await
        .unwrap();
    let options = Options {
        concurrency: 8,
        prefetch: 16,
        ..Options::default()
    };
    let worker = Worker::start(&bench, options);
    bench.wait_for_started(8).await;
    let mut look = bench.look.clone();
    until("the rest of the prefetch", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() == BACKLOG - 16
    })
    .await;
    tokio::time::sleep(2 * LEASE).await;
    assert_eq!(bench.length("jobs").await, BACKLOG - 16);
    assert_eq!(bench.started().await.len(), 8);
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let rss: usize = rss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(rss < 64 * 1024, "{rss} kB");
}

/// 16. A peer that knows lists and nothing else. With the real Python package: `tests/interop`.
async fn line_16_a_list_is_all_that_a_peer_must_know() {
    let mut bench = bench().await;
    let broker = bench.broker().await;
    broker
        .send(JOBS, &json!({"text": "Comment"}))
        .await
        .unwrap();
    let popped: Option<(String, String)> = bench.look.blpop("jobs", 1.0).await.unwrap();
    assert_eq!(
        popped,
        Some(("jobs".to_owned(), r#"{"text":"Comment"}"#.to_owned()))
    );

    let () = bench
        .look
        .rpush("jobs", r#"{"text": "\u00e9"}"#)
        .await
        .unwrap();
    let driver = bench.driver().await;
    let mut jobs = driver
        .consume(&JOBS, ConsumeOptions::default())
        .await
        .unwrap();
    let job = within(RECOVERY, "the peer's message", jobs.next())
        .await
        .unwrap();
    assert_eq!(&job.message().payload()[..], br#"{"text": "\u00e9"}"#);
    job.ack().await.unwrap();
    bench.assert_nothing_is_left().await;
}

/// The time without an answer. It is longer than the driver waits for the answer to a command, which is 4 s.
const SILENCE: Duration = Duration::from_secs(6);

/// The server stands still while a consumer stops, for longer than a command may take (65): each message is in the queue once, and
/// none counts a crash.
async fn line_65_a_stop_while_the_server_stands_still_returns_each_message_once() {
    let mut bench = bench().await;
    bench.push((0..8).map(job)).await;
    let broker = RedisBroker::connect(&bench.options()).await.unwrap();
    let mut jobs = consume(&broker, 8).await;
    let (done, retried) = (next(&mut jobs).await, next(&mut jobs).await);
    let finished = number_of(&done);
    let mut look = bench.look.clone();
    until("everything to be taken", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() == 0
    })
    .await;
    bench.server.freeze();
    drop(jobs);
    let settling = [
        tokio::spawn(done.ack()),
        tokio::spawn(retried.retry(Duration::ZERO)),
    ];
    let closing = tokio::spawn(async move { broker.close().await });
    tokio::time::sleep(SILENCE).await;
    bench.server.thaw();
    for settled in settling {
        within(PATIENCE, "a settlement", settled)
            .await
            .unwrap()
            .unwrap();
    }
    within(PATIENCE, "the stop", closing)
        .await
        .unwrap()
        .unwrap();
    let expected: BTreeSet<_> = (0..8).filter(|n| *n != finished).collect();
    let broker = bench.driver().await;
    let mut jobs = consume(&broker, 8).await;
    let mut found = Vec::new();
    for _ in 0..expected.len() {
        let job = next(&mut jobs).await;
        assert_eq!(job.message().crashes(), 0, "{}", number_of(&job));
        found.push(number_of(&job));
        job.ack().await.unwrap();
    }
    found.sort_unstable();
    assert_eq!(found, Vec::from_iter(expected));
    bench.assert_nothing_is_left().await;
    broker.close().await.unwrap();
}
