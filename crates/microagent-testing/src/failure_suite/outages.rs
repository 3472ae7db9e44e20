//! Lines 11, 17 and 18: the server dies, cuts its connections or stands still.

use std::sync::atomic::Ordering;

use microagent_core::{Agent, ErrorKind, SignalBus};

use super::{
    Bench, FailureServer, SOON,
    agents::{AtTick, Listener, Tock},
    jobs::job,
    kind_of, until, within,
};

/// 11. The server is killed and starts again: the same process consumes soon, and what was confirmed is there.
pub async fn line_11_consuming_goes_on_after_a_restart<S: FailureServer>(bench: Bench<S>) {
    let worker = bench.worker(8, 8);
    bench.push((0..100).map(job)).await;
    bench.journal.handled(100, SOON).await;
    bench.server.kill().await.unwrap();
    bench.server.restart().await.unwrap();
    let back = std::time::Instant::now();
    bench.push((100..200).map(job)).await;
    bench.journal.handled(200, S::RETURN + SOON).await;
    let took = back.elapsed();
    assert!(took < S::RETURN, "{took:?}");
    worker.terminate();
    assert!(within(SOON, "its end", worker.ended()).await.success());
}

/// 17. All connections are cut: the subscription is live again by itself, and the agent counts the gap.
pub async fn line_17_a_cut_subscription_is_live_again<S: FailureServer>(bench: Bench<S>) {
    let bus = bench.bus().await;
    let agent = Agent::new(Listener::new(AtTick::Answers)).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    bench.server.cut().await.unwrap();
    until("the gap to be counted", SOON, async || {
        agent.info().to_string().contains(r#""gaps":1"#)
    })
    .await;
    until("a signal", SOON, async || {
        let sent = bus.send("a", Tock { n: 1 }).await;
        sent.is_ok() && agent.agent().tocks.load(Ordering::Relaxed) > 0
    })
    .await;
    agent.stop().await.unwrap();
}

/// 18. The server stands still, and its connections stay open: a publish ends in an error, and succeeds when it goes on.
pub async fn line_18_a_server_that_stands_still_is_noticed<S: FailureServer>(bench: Bench<S>) {
    let bus = bench.bus_driver().await;
    bench.server.stall();
    let at_most = S::SILENCE + SOON;
    let published = bus.publish("PUBSUB:tick:a", "{}".into());
    let published = within(at_most, "an error instead of a hanging call", published).await;
    assert_eq!(kind_of(published), ErrorKind::Unavailable);
    bench.server.resume();
    until("a publish", at_most, async || {
        bus.publish("PUBSUB:tick:a", "{}".into()).await.is_ok()
    })
    .await;
}
