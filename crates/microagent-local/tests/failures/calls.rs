//! Lines 24 to 29: how calls end when nobody hears them, nobody answers, or the host is gone.

use std::time::Duration;

use microagent_core::{RunningAgent, WaiterEnd};

use crate::{
    agents::{AtTick, Listener, Tick, Tock},
    bench::{Bench, SOON, until, within},
    journal::Told,
    shared::calls,
};

/// 24. Nobody listens: told within a round trip, not after the timeout.
#[tokio::test]
async fn f24_a_call_that_nobody_hears_fails_at_once() {
    let bench = Bench::new();
    let _host = bench.host().await;
    calls::a_call_that_nobody_hears_fails_at_once(&bench.bus().await).await;
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
#[tokio::test]
async fn f25_a_failure_is_an_answer() {
    let bench = Bench::new();
    let _host = bench.host().await;
    calls::a_failure_is_an_answer(async || bench.bus().await).await;
}

/// 26. The host is killed while calls wait: they fail within a second, and nothing waits any more.
#[tokio::test]
async fn f26_a_lost_connection_ends_what_waits() {
    let bench = Bench::new();
    let host = bench.host().await;
    let (caller, bus) = (bench.bus().await, bench.bus().await);
    let _agent = calls::a_lost_connection_ends_what_waits(&caller, bus, || host.kill()).await;
    until("an answer by way of a new host", SOON, async || {
        let answer = caller.call("a", Tock { n: 7 }).timeout(SOON).await;
        answer.is_ok_and(|answer| answer.one::<u64>().is_ok_and(|n| n == 7))
    })
    .await;
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
#[tokio::test(flavor = "multi_thread")]
async fn f27_late_answers_are_counted_and_forgotten() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let (caller, other) = (bench.bus().await, bench.bus_driver().await);
    calls::late_answers_are_counted_and_forgotten(&caller, &other).await;
}

/// 28. A waiter with three responders, of which one is killed: two answers, and an end that says how many are missing.
#[tokio::test]
async fn f28_a_waiter_says_how_many_are_missing() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let caller = bench.bus().await;
    let _responders = [answering(&bench).await, answering(&bench).await];
    let dying = bench.start("hearer");
    let says = |word| move |told: &Told| told.says(word) == 1;
    bench.journal.until("a hearer", SOON, says("listens")).await;
    let waiter = caller.waiter("a", Tick { n: 7 });
    let mut answers = waiter.timeout(Duration::from_secs(3)).await.unwrap();
    bench.journal.until("the call", SOON, says("hears")).await;
    dying.kill();
    for _ in 0..2 {
        let answer = within(SOON, "an answer", answers.next()).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), 7);
    }
    assert!(within(SOON, "the end", answers.next()).await.is_none());
    let missing = WaiterEnd::Deadline { missing: Some(1) };
    assert_eq!(answers.end(), Some(&missing));
}

async fn answering(bench: &Bench) -> RunningAgent<Listener> {
    calls::respond(AtTick::Answers, bench.bus().await).await
}

/// 29. A call right after the start: it is never sent before the hub has confirmed the subscription for its answers.
#[tokio::test]
async fn f29_a_first_call_hears_its_answer() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let other = bench.bus_driver().await;
    calls::a_first_call_hears_its_answer(async || bench.bus().await, &other).await;
}
