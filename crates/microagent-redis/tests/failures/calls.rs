//! Line 28: how a waiter ends when one of its responders dies.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{RunningAgent, SignalBus, WaiterEnd};

use microagent_testing::failure_suite::{
    SOON,
    agents::{AtTick, Listener, Tock},
    calls,
};

use crate::bench::{Bench, bench, within};

microagent_testing::needs! {
    redis {
        async fn line_28_a_waiter_says_how_many_are_missing,
    }
}

/// 28. A waiter with three responders, of which one dies: two answers, and an end that says how many are missing.
async fn line_28_a_waiter_says_how_many_are_missing() {
    let bench = bench().await;
    let caller = bench.bus().await;
    let responders = [answering(&bench).await, answering(&bench).await];
    let dying = bench.bus_driver().await;
    let mut events = dying.subscribe("PUBSUB:tock:*").await.unwrap();
    let mut answers = caller
        .waiter("a", Tock { n: 7 })
        .timeout(Duration::from_secs(5))
        .await
        .unwrap();
    within(SOON, "the call", events.next()).await.unwrap();
    drop((events, dying));
    for _ in 0..2 {
        let answer = within(SOON, "an answer", answers.next()).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), 7);
    }
    assert!(within(SOON, "the end", answers.next()).await.is_none());
    let missing = WaiterEnd::Deadline { missing: Some(1) };
    assert_eq!(answers.end(), Some(&missing));
    drop(responders);
}

async fn answering(bench: &Bench) -> RunningAgent<Listener> {
    calls::respond(AtTick::Answers, bench.bus().await).await
}
