//! Lines 24 to 29: how calls end when nobody hears them, nobody answers, or the connection is lost.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{RunningAgent, SignalBus, WaiterEnd};

use crate::{
    agents::{AtTick, Listener, Tock},
    bench::{Bench, bench, within},
    shared::{SOON, calls},
};

/// 24. Nobody listens: told within a round trip, not after the timeout.
#[tokio::test]
async fn f24_a_call_that_nobody_hears_fails_at_once() {
    let Some(bench) = bench("f24").await else {
        return;
    };
    calls::a_call_that_nobody_hears_fails_at_once(&bench.bus().await).await;
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
#[tokio::test]
async fn f25_a_failure_is_an_answer() {
    let Some(bench) = bench("f25").await else {
        return;
    };
    calls::a_failure_is_an_answer(async || bench.bus().await).await;
}

/// 26. The connection is lost while calls wait: they fail within a second, and nothing waits any more.
#[tokio::test]
async fn f26_a_lost_connection_ends_what_waits() {
    let Some(bench) = bench("f26").await else {
        return;
    };
    let (caller, bus) = (bench.bus().await, bench.bus().await);
    let kill = || bench.server.kill();
    let _agent = calls::a_lost_connection_ends_what_waits(&caller, bus, kill).await;
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
#[tokio::test(flavor = "multi_thread")]
async fn f27_late_answers_are_counted_and_forgotten() {
    let Some(bench) = bench("f27").await else {
        return;
    };
    let (caller, other) = (bench.bus().await, bench.bus_driver().await);
    calls::late_answers_are_counted_and_forgotten(&caller, &other).await;
}

/// 28. A waiter with three responders, of which one dies: two answers, and an end that says how many are missing.
#[tokio::test]
async fn f28_a_waiter_says_how_many_are_missing() {
    let Some(bench) = bench("f28").await else {
        return;
    };
    let caller = bench.bus().await;
    let responders = [answering(&bench).await, answering(&bench).await];
    let dying = bench.bus_driver().await;
    let mut heard = dying.subscribe("PUBSUB:tock:*").await.unwrap();
    let mut answers = caller
        .waiter("a", Tock { n: 7 })
        .timeout(Duration::from_secs(5))
        .await
        .unwrap();
    within(SOON, "the call", heard.next()).await.unwrap();
    drop((heard, dying));
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

/// 29. A call right after the start: it is never sent before the server has confirmed the subscription for its answers.
#[tokio::test]
async fn f29_a_first_call_hears_its_answer() {
    let Some(bench) = bench("f29").await else {
        return;
    };
    let other = bench.bus_driver().await;
    calls::a_first_call_hears_its_answer(async || bench.bus().await, &other).await;
}
