//! Line 72: the server refuses a step again and again. The pauses grow, the log says it once, in the server's own words, and all
//! goes on by itself when the server has changed its mind.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use microagent_core::{BusEvent, ConsumeOptions, QueueBroker, SignalBus};
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use redis::AsyncCommands;

use crate::{
    bench::{
        Bench, JOBS, LEASE, Log, RECOVERY, bench, bench_with, consume, job, next, number_of, until,
        within,
    },
    proxy::Proxy,
};

microagent_testing::needs! {
    redis {
        async fn line_72_a_step_that_is_refused_is_tried_with_growing_pauses_and_told_once,
        async fn line_72_without_the_permission_to_wait_messages_are_handled,
        async fn line_72_a_server_with_too_many_clients_is_quoted,
        async fn line_72_connections_that_are_cut_at_once_are_told_once,
        async fn line_72_a_refused_ping_is_an_answer,
    }
}

/// For how long the refusals are counted.
const WHILE: Duration = Duration::from_secs(10);

/// With pauses that double from 50 ms to 3 s, no more attempts than these are made meanwhile.
const ATTEMPTS: usize = 20;

/// A refusal of the server, and how the test causes it.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    WrongTypeOfQueue,
    WrongTypeOfInbox,
    NoBlmove,
    NoScripts,
}

impl Refusal {
    fn words(self) -> &'static str {
        match self {
            Self::WrongTypeOfQueue => "WRONGTYPE the key `jobs` holds a string, expected a list",
            Self::WrongTypeOfInbox => {
                "WRONGTYPE the key `{jobs}:inbox` holds a hash, expected a list"
            }
            Self::NoBlmove => "no permissions to run the 'blmove' command",
            Self::NoScripts => "no permissions to run the 'evalsha' command",
        }
    }

    async fn begin(self, bench: &mut Bench) {
        match self {
            Self::WrongTypeOfQueue => bench.look.set("jobs", "no list").await.unwrap(),
            Self::WrongTypeOfInbox => bench.look.hset("{jobs}:inbox", "a", "b").await.unwrap(),
            Self::NoBlmove => allow(bench, "-blmove").await,
            Self::NoScripts => allow(bench, "-evalsha").await,
        }
    }

    async fn end(self, bench: &mut Bench) {
        match self {
            Self::WrongTypeOfQueue => bench.look.del("jobs").await.unwrap(),
            Self::WrongTypeOfInbox => bench.look.del("{jobs}:inbox").await.unwrap(),
            Self::NoBlmove | Self::NoScripts => allow(bench, "+@all").await,
        }
    }
}

async fn allow(bench: &Bench, rule: &str) {
    let set = ["ACL", "SETUSER", "default", rule];
    bench.server.command(&set).await.unwrap();
}

async fn line_72_a_step_that_is_refused_is_tried_with_growing_pauses_and_told_once() {
    for refusal in [
        Refusal::WrongTypeOfQueue,
        Refusal::WrongTypeOfInbox,
        Refusal::NoBlmove,
        Refusal::NoScripts,
    ] {
        let mut bench = bench().await;
        let log = Log::default();
        let _recorded = log.record();
        let proxy = Proxy::to(bench.server.address()).await;
        let broker = bench.driver_over(&proxy).await;
        refusal.begin(&mut bench).await;
        let mut jobs = broker
            .consume(&JOBS, ConsumeOptions::with_prefetch(1))
            .await
            .unwrap();
        tokio::time::sleep(WHILE).await;
        assert!(
            (3..ATTEMPTS).contains(&proxy.connections()),
            "{refusal:?}: {} connections",
            proxy.connections()
        );
        let text = log.text();
        assert!(text.contains(refusal.words()), "{refusal:?}: {text}");
        let warnings = text.matches("cannot take messages").count();
        assert_eq!(warnings, 1, "{refusal:?}: {text}");
        assert!(text.matches("WARN").count() <= 3, "{refusal:?}: {text}");

        refusal.end(&mut bench).await;
        bench.push([job(1)]).await;
        let delivery = within(RECOVERY, "a job", next(&mut jobs)).await;
        assert_eq!(number_of(&delivery), 1);
        delivery.ack().await.unwrap();
        until("the end of the outage", RECOVERY, async || {
            log.text().contains("taking messages again")
        })
        .await;
    }
}

/// Messages that can be taken are taken, whatever becomes of the waiting.
async fn line_72_without_the_permission_to_wait_messages_are_handled() {
    let mut bench = bench().await;
    allow(&bench, "-blmove").await;
    let broker = bench.driver().await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await
        .unwrap();
    for n in 0..5 {
        bench.push([job(n)]).await;
        next(&mut jobs).await.ack().await.unwrap();
    }
    bench.assert_nothing_is_left().await;
}

/// The server has as many clients as it wants: it says so, in a connection that it closes at once.
async fn line_72_a_server_with_too_many_clients_is_quoted() {
    let mut bench = bench_with(&["--maxclients", "1"]).await;
    let log = Log::default();
    let _recorded = log.record();
    let options = RedisOptions::parse(&bench.server.dsn()).unwrap();
    let broker = RedisBroker::connect_with_lease(&options, LEASE)
        .await
        .unwrap();
    let bus = RedisBus::connect(&options).await.unwrap();
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await
        .unwrap();
    tokio::time::sleep(WHILE).await;
    let text = log.text();
    for who in ["cannot connect", "cannot take messages"] {
        let lines: Vec<_> = text.lines().filter(|line| line.contains(who)).collect();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("ERR max number of clients reached")),
            "{who}: {text}"
        );
    }
    assert!(text.matches("WARN").count() <= 6, "{text}");

    bench.set("maxclients", "100").await;
    within(RECOVERY, "the broker", broker.ready())
        .await
        .unwrap();
    let _heard = within(RECOVERY, "the bus", bus.subscribe("P:s:*"))
        .await
        .unwrap();
    bench.push([job(1)]).await;
    next(&mut jobs).await.ack().await.unwrap();
}

/// Connections that are made and cut again and again prove nothing: each loss is text once, and the pauses grow.
async fn line_72_connections_that_are_cut_at_once_are_told_once() {
    let mut bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    let proxy = Proxy::to(bench.server.address()).await;
    let broker = bench.driver_over(&proxy).await;
    let options = RedisOptions::parse(&proxy.dsn()).unwrap();
    let bus = RedisBus::connect(&options).await.unwrap();
    let mut signals = bus.subscribe("P:s:*").await.unwrap();
    let mut jobs = consume(&broker, 1).await;
    let begun = Instant::now();
    while begun.elapsed() < WHILE {
        bench.server.cut().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = log.text();
    for loss in [
        "connection lost; reconnecting connection=\"commands\"",
        "connection lost; reconnecting connection=\"signals\"",
        "cannot take messages",
    ] {
        let lines = text.lines().filter(|line| line.contains(loss)).count();
        // The first command to meet the cut may say it in other words than the next.
        assert!((1..=3).contains(&lines), "{lines} times {loss}: {text}");
    }
    // Of two drivers with three connections that are kept.
    assert!(
        proxy.connections() < 4 * ATTEMPTS,
        "{}",
        proxy.connections()
    );

    bench.reconnect().await;
    within(RECOVERY, "the broker", broker.ready())
        .await
        .unwrap();
    bench.push([job(1)]).await;
    next(&mut jobs).await.ack().await.unwrap();
    until("a signal", RECOVERY, async || {
        let sent = bus.publish("P:s:a", "{}".into()).await;
        sent.is_ok_and(|count| !count.is_none())
    })
    .await;
    within(RECOVERY, "the signal", async {
        while !matches!(signals.next().await, Some(BusEvent::Message(_))) {}
    })
    .await;
}

/// A user who must not ask whether the server lives can still use it.
async fn line_72_a_refused_ping_is_an_answer() {
    let mut bench = bench().await;
    let log = Log::default();
    let _recorded = log.record();
    allow(&bench, "-ping").await;
    let broker = bench.driver().await;
    within(RECOVERY, "the broker", broker.ready())
        .await
        .unwrap();
    bench.push([job(1)]).await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await
        .unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    // The shared connection has been asked meanwhile.
    tokio::time::sleep(Duration::from_secs(6)).await;
    broker.length(&JOBS).await.unwrap();
    assert!(!log.text().contains("is lost"), "{}", log.text());
}
