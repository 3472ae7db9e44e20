//! Lines 24 to 29: how calls end when nobody hears them, nobody answers, or the connection is lost.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all};
use microagent_core::{Agent, BusEvent, ErrorKind, SignalBus, WaiterEnd};
use redis::AsyncCommands;

use crate::{
    agents::{AtTick, Listener, Tick, Tock},
    bench::{Bench, bench, kind_of, until, within},
};

const SOON: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);

/// 24. Nobody listens: told within a round trip, not after the timeout.
#[tokio::test]
async fn f24_a_call_that_nobody_hears_fails_at_once() {
    let Some(bench) = bench("f24").await else {
        return;
    };
    let bus = bench.bus().await;
    let called = within(
        SOON,
        "an end",
        bus.call("a", Tick { n: 1 }).timeout(LONG).into_future(),
    );
    assert_eq!(kind_of(called.await), ErrorKind::NoResponders);
    assert_eq!(bus.call_counts().0, 0);
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
#[tokio::test]
async fn f25_a_failure_is_an_answer() {
    let Some(bench) = bench("f25").await else {
        return;
    };
    for (at_tick, told) in [
        (AtTick::Fails, "no ticks today"),
        (AtTick::Panics, "at a tick"),
    ] {
        let (caller, bus) = (bench.bus().await, bench.bus().await);
        let agent = Agent::new(Listener::new(at_tick))
            .bus(bus)
            .start()
            .await
            .unwrap();
        let answer = caller.call("a", Tick { n: 1 }).timeout(SOON).await.unwrap();
        let error = answer.get::<u64>("Listener.tick").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        agent.stop().await.unwrap();
    }
}

/// 26. The connection is lost while calls wait: they fail within a second, and nothing waits any more.
#[tokio::test]
async fn f26_a_lost_connection_ends_what_waits() {
    let Some(bench) = bench("f26").await else {
        return;
    };
    let (caller, bus) = (bench.bus().await, bench.bus().await);
    let sleeps = Listener::new(AtTick::Sleeps(LONG));
    let agent = Agent::new(sleeps).bus(bus).start().await.unwrap();
    let calls =
        (0..5).map(|n| tokio::spawn(caller.call("a", Tick { n }).timeout(LONG).into_future()));
    let calls: Vec<_> = calls.collect();
    until("the calls to wait", SOON, async || {
        // One runs, and the others wait behind it.
        caller.call_counts().0 == 5 && agent.agent().ticks.load(Ordering::Relaxed) == 1
    })
    .await;
    bench.server.kill();
    let killed = Instant::now();
    for call in join_all(calls).await {
        assert_eq!(kind_of(call.unwrap()), ErrorKind::Unavailable);
    }
    assert!(
        killed.elapsed() < Duration::from_secs(1),
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(caller.call_counts().0, 0);
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
#[tokio::test(flavor = "multi_thread")]
async fn f27_late_answers_are_counted_and_forgotten() {
    const CALLS: u64 = 100_000;
    let Some(mut bench) = bench("f27").await else {
        return;
    };
    let (caller, silent) = (bench.bus().await, bench.bus_driver().await);
    let mut heard = silent.subscribe("PUBSUB:tick:*").await.unwrap();
    let listening = tokio::spawn(async move {
        let mut ids = Vec::new();
        while ids.len() < CALLS as usize {
            if let Some(BusEvent::Message(call)) = heard.next().await {
                ids.push(call.channel.split_once('#').unwrap().1.to_owned());
            }
        }
        ids
    });
    // Long enough for the last of them to be sent.
    let calls = (0..CALLS).map(|n| {
        caller
            .call("a", Tick { n })
            .timeout(Duration::from_secs(20))
            .into_future()
    });
    for call in join_all(calls).await {
        assert_eq!(kind_of(call), ErrorKind::Timeout);
    }
    assert_eq!(caller.call_counts(), (0, 0));
    let ids = within(LONG, "all calls", listening).await.unwrap();
    for ids in ids.chunks(1000) {
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.publish(answer_channel(id), r#"{"Late.tick":1}"#)
                .ignore();
        }
        let () = pipe.query_async(&mut bench.look).await.unwrap();
    }
    until("the late answers", LONG, async || {
        caller.call_counts() == (0, CALLS)
    })
    .await;
}

/// Where the answer to a call goes, as any responder finds out.
fn answer_channel(id: &str) -> String {
    format!("PUBSUB:response:late#{id}")
}

/// 28. A waiter with three responders, of which one dies: two answers, and an end that says how many are missing.
#[tokio::test]
async fn f28_a_waiter_says_how_many_are_missing() {
    let Some(bench) = bench("f28").await else {
        return;
    };
    let caller = bench.bus().await;
    let responders = [respond(&bench).await, respond(&bench).await];
    let dying = bench.bus_driver().await;
    let mut heard = dying.subscribe("PUBSUB:tock:*").await.unwrap();
    let mut answers = caller
        .waiter("a", Tock { n: 7 })
        .timeout(2 * SOON)
        .await
        .unwrap();
    within(SOON, "the call", heard.next()).await.unwrap();
    drop((heard, dying));
    for _ in 0..2 {
        let answer = within(SOON, "an answer", answers.next()).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), 7);
    }
    assert!(within(3 * SOON, "the end", answers.next()).await.is_none());
    let missing = WaiterEnd::Deadline { missing: Some(1) };
    assert_eq!(answers.end(), Some(&missing));
    drop(responders);
}

async fn respond(bench: &Bench) -> microagent_core::RunningAgent<Listener> {
    let agent = Agent::new(Listener::new(AtTick::Answers)).bus(bench.bus().await);
    agent.start().await.unwrap()
}

/// 29. A call right after the start: it is never sent before the server has confirmed the subscription for its answers.
#[tokio::test]
async fn f29_a_first_call_hears_its_answer() {
    let Some(mut bench) = bench("f29").await else {
        return;
    };
    let _responder = respond(&bench).await;
    for n in 0..50 {
        let caller = bench.bus().await;
        let answer = caller.call("a", Tock { n }).timeout(SOON).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), n);
    }
    // And as the server sees it: whoever calls is subscribed already.
    let server = bench.bus_driver().await;
    let mut calls = server.subscribe("PUBSUB:tick:*").await.unwrap();
    let caller = bench.bus().await;
    let calling = tokio::spawn(caller.call("a", Tick { n: 1 }).timeout(SOON).into_future());
    let Some(BusEvent::Message(call)) = within(SOON, "the call", calls.next()).await else {
        panic!("a call was to come");
    };
    let id = call.channel.split_once('#').unwrap().1;
    let heard: u64 = bench
        .look
        .publish(answer_channel(id), r#"{"A.b":1}"#)
        .await
        .unwrap();
    assert_eq!(heard, 1);
    calling.await.unwrap().unwrap();
}
