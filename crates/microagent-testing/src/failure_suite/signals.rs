//! Lines 20 and 21, of receivers beside receivers.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use microagent_core::{Agent, SignalBus, SubscriberCount};
use serde_json::json;

use super::{
    Bench, FailureServer, SOON,
    agents::{AtTick, Listener, Tick, Tock},
    until,
};

/// 20. A receiver that cannot keep up: its signals are dropped by its policy and counted, and the others are heard.
pub async fn line_20_a_slow_receiver_drops_its_own<S: FailureServer>(bench: Bench<S>) {
    let (bus, publisher) = (bench.bus().await, bench.bus_driver().await);
    const SENT: usize = 20_000;
    const SENT_AT_A_TIME: usize = 1000;
    let sleeps = Listener::new(AtTick::Sleeps(Duration::from_secs(3600)));
    let agent = Agent::new(sleeps).bus(bus.clone()).start().await.unwrap();
    let body = Bytes::from(json!({"n": 1, "rest": "x".repeat(1000)}).to_string());
    for _ in 0..SENT / SENT_AT_A_TIME {
        let publish = |_| publisher.publish("PUBSUB:tick:a", body.clone());
        for receivers in join_all((0..SENT_AT_A_TIME).map(publish)).await {
            assert_eq!(receivers.unwrap(), SubscriberCount::Counted(1));
        }
    }
    bus.send("a", Tock { n: 1 }).await.unwrap();
    until("the other signal", SOON, async || {
        agent.agent().tocks.load(Ordering::Relaxed) == 1
    })
    .await;
    // One runs, and four wait.
    let expected = format!(r#""dropped":{}"#, SENT - 1 - 4);
    until("all the drops to be counted", SOON, async || {
        agent.info().to_string().contains(&expected)
    })
    .await;
}

/// 21. A receiver panics: the other receivers, and its own next signals, are unaffected.
pub async fn line_21_a_panic_stays_with_its_handler<S: FailureServer>(bench: Bench<S>) {
    let bus = bench.bus().await;
    let agent = Agent::new(Listener::new(AtTick::Panics)).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    for n in 0..3 {
        bus.send("a", Tick { n }).await.unwrap();
        let answer = bus.call("a", Tock { n }).timeout(SOON).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), n);
    }
    until("all panics", SOON, async || {
        agent.info().to_string().contains(r#""panicked":3"#)
    })
    .await;
}
