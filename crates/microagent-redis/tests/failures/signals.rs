//! Lines 17 to 23: what the bus makes of connections that break, of signals that are none, and of receivers that cannot
//! keep up.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream::BoxStream};
use microagent_core::{Agent, BusEvent, ErrorKind, SignalBus};
use microagent_redis::{RedisBus, RedisOptions};
use serde_json::json;

use microagent_testing::failure_suite::{
    agents::{AtTick, Listener, Tick, Tock},
    error_of,
};

use crate::bench::{Bench, bench, kind_of, until, within};

microagent_testing::needs! {
    redis {
        async fn line_17_killed_subscriptions_are_live_again,
        async fn line_17_the_agent_counts_the_gap,
        async fn line_18_a_half_open_connection_is_noticed,
        async fn line_19_what_is_no_signal_is_counted_and_disturbs_nobody,
        async fn line_22_a_refused_channel_is_named_at_the_start,
        multi_thread async fn line_23_clients_do_not_come_back_all_at_once,
    }
}

const SOON: Duration = Duration::from_secs(5);

/// The clients of line 23.
const CLIENTS: usize = 200;

/// The next event is a loss, and then comes a gap.
async fn gap(events: &mut BoxStream<'static, BusEvent>, at_most: Duration) {
    let lost = within(at_most, "the loss", events.next()).await;
    assert!(matches!(lost, Some(BusEvent::Lost(_))), "{lost:?}");
    let gap = within(at_most, "the gap", events.next()).await;
    assert!(matches!(gap, Some(BusEvent::Gap(_))), "{gap:?}");
}

/// 17. `CLIENT KILL TYPE pubsub`: every channel is live again within 2 s, and the gap is told.
async fn line_17_killed_subscriptions_are_live_again() {
    let bench = bench().await;
    let bus = bench.bus_driver().await;
    let patterns = (0..50).map(|n| format!("P:s{n}:*"));
    let mut all = join_all(patterns.map(|pattern| {
        let bus = &bus;
        async move { bus.subscribe(&pattern).await.unwrap() }
    }))
    .await;
    let killed = Instant::now();
    bench
        .server
        .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
        .await
        .unwrap();
    for events in &mut all {
        gap(
            events,
            Duration::from_secs(2).saturating_sub(killed.elapsed()),
        )
        .await;
    }
    for (n, events) in all.iter_mut().enumerate() {
        bus.publish(&format!("P:s{n}:a"), "{}".into())
            .await
            .unwrap();
        let event = within(SOON, "a signal", events.next()).await;
        assert!(matches!(event, Some(BusEvent::Message(_))), "{event:?}");
    }
}

/// 17. The agent gets the gap, and counts it.
async fn line_17_the_agent_counts_the_gap() {
    let bench = bench().await;
    let agent = Agent::new(Listener::new(AtTick::Answers)).bus(bench.bus().await);
    let agent = agent.start().await.unwrap();
    bench
        .server
        .command(&["CLIENT", "KILL", "TYPE", "pubsub"])
        .await
        .unwrap();
    until("the gap to be counted", SOON, async || {
        agent.info().to_string().contains(r#""gaps":1"#)
    })
    .await;
    agent.stop().await.unwrap();
}

/// 18. The server neither answers nor resets: noticed within two ping periods.
async fn line_18_a_half_open_connection_is_noticed() {
    let bench = bench().await;
    let bus = bench.bus_driver().await;
    let mut events = bus.subscribe("P:s:*").await.unwrap();
    bench.server.freeze();
    let lost = within(Duration::from_secs(20), "the loss", events.next()).await;
    assert!(matches!(lost, Some(BusEvent::Lost(_))), "{lost:?}");
    let published = bus.publish("P:s:a", "{}".into());
    let error = within(SOON, "an error instead of a hanging call", published).await;
    assert_eq!(kind_of(error), ErrorKind::Unavailable);
    bench.server.thaw();
    let gap = within(2 * SOON, "the gap", events.next()).await;
    assert!(matches!(gap, Some(BusEvent::Gap(_))), "{gap:?}");
}

/// 19. A sender with `:` or `#` is refused on sending, and what is not a signal is counted on receiving.
///
/// Such a channel and each payload that is not an object is logged, and the subscription lives.
async fn line_19_what_is_no_signal_is_counted_and_disturbs_nobody() {
    let mut bench = bench().await;
    let bus = bench.bus().await;
    for sender in ["a:b", "a#b"] {
        let refused = bus.send(sender, Tick { n: 1 }).await;
        assert_eq!(kind_of(refused), ErrorKind::InvalidName);
    }
    let agent = Agent::new(Listener::new(AtTick::Answers)).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let big = json!({"n": "x".repeat(10 * 1024 * 1024)}).to_string();
    let bodies: [&[u8]; 5] = [
        b"{",
        b"[1,2]",
        b"{\"n\":\"\xff\"}",
        b"\xff\xfe",
        big.as_bytes(),
    ];
    for channel in ["PUBSUB:tock:a", "PUBSUB:tock:a:b", "PUBSUB:tock:#"] {
        for body in bodies {
            let mut publish = redis::cmd("PUBLISH");
            let publish = publish.arg(channel).arg(body);
            let count: u64 = publish.query_async(&mut bench.look).await.unwrap();
            assert_eq!(count, 1);
        }
    }
    bus.send("a", Tock { n: 1 }).await.unwrap();
    until("the signal after them", SOON, async || {
        agent.agent().tocks.load(Ordering::Relaxed) == 1
    })
    .await;
    let info = agent.info().to_string();
    assert!(info.contains(r#""undecodable":5"#), "{info}");
    assert!(info.contains(r#""strays":10"#), "{info}");
    agent.stop().await.unwrap();
}

/// 22. An ACL that refuses the channel: the start fails, and names it.
async fn line_22_a_refused_channel_is_named_at_the_start() {
    let bench = bench().await;
    let rules = [
        "ACL",
        "SETUSER",
        "shop",
        "on",
        ">s3cret",
        "~*",
        "+@all",
        "resetchannels",
        "&PUBSUB:tock:*",
    ];
    bench.server.command(&rules).await.unwrap();
    let dsn = format!("redis://shop:s3cret@{}/7", bench.server.address());
    let bus = RedisBus::connect(&RedisOptions::parse(&dsn).unwrap())
        .await
        .unwrap();
    let _allowed = within(
        SOON,
        "a channel that is allowed",
        bus.subscribe("PUBSUB:tock:*"),
    )
    .await
    .unwrap();
    let refused = within(SOON, "a refusal", bus.subscribe("PUBSUB:tick:*")).await;
    let error = error_of(refused);
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("PUBSUB:tick:*"), "{error}");

    let bus = microagent_core::Bus::new(std::sync::Arc::new(bus));
    let start = Agent::new(Listener::new(AtTick::Answers)).bus(bus).start();
    let error = error_of(within(SOON, "a start that fails", start).await);
    assert!(error.to_string().contains("PUBSUB:tick:*"), "{error}");
}

/// 23. The server comes back for 200 clients: no 100 ms see more than a tenth of them return.
///
/// A busy machine can only push them together, so the best of three outages counts.
async fn line_23_clients_do_not_come_back_all_at_once() {
    let mut bench = bench().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let buckets = returns_after_an_outage(&mut bench).await;
        if buckets.values().all(|count| *count <= CLIENTS / 10) {
            return;
        }
        seen.push(buckets);
    }
    panic!("more than a tenth of the clients came back in 100 ms: {seen:?}");
}

/// Returns how many clients came back in each 100 ms after an outage.
async fn returns_after_an_outage(bench: &mut Bench) -> BTreeMap<u128, usize> {
    let clients = join_all((0..CLIENTS).map(|_| bench.bus_driver())).await;
    let streams = join_all(clients.iter().map(|bus| bus.subscribe("P:s:*"))).await;
    let start = Instant::now();
    let returning: Vec<_> = streams
        .into_iter()
        .map(|events| {
            let mut events = events.unwrap();
            tokio::spawn(async move {
                gap(&mut events, Duration::from_secs(30)).await;
                start.elapsed()
            })
        })
        .collect();
    bench.outage(Duration::from_secs(10)).await;
    let mut buckets = BTreeMap::new();
    for returned in join_all(returning).await {
        *buckets
            .entry(returned.unwrap().as_millis() / 100)
            .or_default() += 1;
    }
    buckets
}
