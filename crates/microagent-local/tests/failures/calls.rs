//! Lines 24 to 29: how calls end when nobody hears them, nobody answers, or the host is gone.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::join_all};
use microagent_core::{Agent, BusEvent, ErrorKind, Receivers, RunningAgent, SignalBus, WaiterEnd};

use crate::{
    agents::{AtTick, Listener, Tick, Tock},
    bench::{Bench, SOON, kind_of, until, within},
    journal::Told,
};

const LONG: Duration = Duration::from_secs(60);

/// 24. Nobody listens: told within a round trip, not after the timeout.
#[tokio::test]
async fn f24_a_call_that_nobody_hears_fails_at_once() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let bus = bench.bus().await;
    let called = Instant::now();
    let answer = bus.call("a", Tick { n: 1 }).timeout(LONG).await;
    let lasted = called.elapsed();
    assert_eq!(kind_of(answer), ErrorKind::NoResponders);
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(bus.call_counts().0, 0);
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
#[tokio::test]
async fn f25_a_failure_is_an_answer() {
    let bench = Bench::new();
    let _host = bench.host().await;
    for (at_tick, told) in [
        (AtTick::Fails, "no ticks today"),
        (AtTick::Panics, "at a tick"),
    ] {
        let (caller, bus) = (bench.bus().await, bench.bus().await);
        let agent = Agent::new(Listener::new(at_tick)).bus(bus);
        let agent = agent.start().await.unwrap();
        let answer = caller.call("a", Tick { n: 1 }).timeout(SOON).await.unwrap();
        let error = answer.get::<u64>("Listener.tick").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        agent.stop().await.unwrap();
    }
}

/// 26. The host is killed while calls wait: they fail within a second, and nothing waits any more.
#[tokio::test]
async fn f26_a_lost_connection_ends_what_waits() {
    let bench = Bench::new();
    let host = bench.host().await;
    let (caller, bus) = (bench.bus().await, bench.bus().await);
    let sleeps = Listener::new(AtTick::Sleeps(LONG));
    let agent = Agent::new(sleeps).bus(bus).start().await.unwrap();
    let calls =
        (0..5).map(|n| tokio::spawn(caller.call("a", Tick { n }).timeout(LONG).into_future()));
    let calls: Vec<_> = calls.collect();
    until("the calls to wait", SOON, async || {
        caller.call_counts().0 == 5 && agent.agent().ticks.load(Ordering::Relaxed) >= 1
    })
    .await;
    host.kill();
    let killed = Instant::now();
    for call in join_all(calls).await {
        assert_eq!(kind_of(call.unwrap()), ErrorKind::Unavailable);
    }
    let lasted = killed.elapsed();
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(caller.call_counts().0, 0);
    until("an answer by way of a new host", SOON, async || {
        let answer = caller.call("a", Tock { n: 7 }).timeout(SOON).await;
        answer.is_ok_and(|answer| answer.one::<u64>().is_ok_and(|n| n == 7))
    })
    .await;
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
#[tokio::test(flavor = "multi_thread")]
async fn f27_late_answers_are_counted_and_forgotten() {
    const CALLS: u64 = 100_000;
    let bench = Bench::new();
    let _host = bench.host().await;
    let (caller, silent) = (bench.bus().await, bench.bus_driver().await);
    let heard = silent.subscribe("PUBSUB:tick:*").await.unwrap();
    let listening = tokio::spawn(answer_channels(heard));
    for start in (0..CALLS).step_by(10_000) {
        let calls = (start..start + 10_000).map(|n| {
            let call = caller.call("a", Tick { n });
            call.timeout(Duration::from_secs(1)).into_future()
        });
        for call in join_all(calls).await {
            assert_eq!(kind_of(call), ErrorKind::Timeout);
        }
    }
    assert_eq!(caller.call_counts(), (0, 0));

    let late = bench.bus_driver().await;
    late.publish(AFTER_THE_CALLS, Bytes::new()).await.unwrap();
    let channels = within(SOON, "all calls", listening).await.unwrap();
    // On a busy machine some end before they are sent.
    let answered = channels.len() as u64;
    assert!(answered > CALLS * 9 / 10, "{answered} calls were heard");
    for channels in channels.chunks(1000) {
        let publish = |to| late.publish(to, r#"{"Late.tick":1}"#.into());
        for heard in join_all(channels.iter().map(|to| publish(to))).await {
            assert_eq!(heard.unwrap(), Receivers::Counted(1));
        }
    }
    until("the late answers", SOON, async || {
        caller.call_counts() == (0, answered)
    })
    .await;
}

const AFTER_THE_CALLS: &str = "PUBSUB:tick:last";

/// Where the answers to the calls go that are heard.
async fn answer_channels(mut heard: impl Stream<Item = BusEvent> + Unpin) -> Vec<String> {
    let mut channels = Vec::new();
    while let Some(event) = heard.next().await {
        let BusEvent::Message(call) = event else {
            panic!("only calls were to come: {event:?}");
        };
        if call.channel == AFTER_THE_CALLS {
            break;
        }
        channels.push(answer_channel(call.channel.split_once('#').unwrap().1));
    }
    channels
}

/// Where the answer to a call goes, as any responder finds out.
fn answer_channel(id: &str) -> String {
    format!("PUBSUB:response:late#{id}")
}

/// 28. A waiter with three responders, of which one is killed: two answers, and an end that says how many are missing.
#[tokio::test]
async fn f28_a_waiter_says_how_many_are_missing() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let caller = bench.bus().await;
    let _responders = [respond(&bench).await, respond(&bench).await];
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

async fn respond(bench: &Bench) -> RunningAgent<Listener> {
    let agent = Agent::new(Listener::new(AtTick::Answers)).bus(bench.bus().await);
    agent.start().await.unwrap()
}

/// 29. A call right after the start: it is never sent before the hub has confirmed the subscription for its answers.
#[tokio::test]
async fn f29_a_first_call_hears_its_answer() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let _responder = respond(&bench).await;
    for n in 0..50 {
        let caller = bench.bus().await;
        let answer = caller.call("a", Tock { n }).timeout(SOON).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), n);
    }
    // And as the hub sees it: whoever calls is subscribed already.
    let other = bench.bus_driver().await;
    let caller = bench.bus().await;
    let mut ticks = other.subscribe("PUBSUB:tick:*").await.unwrap();
    let calling = tokio::spawn(caller.call("a", Tick { n: 1 }).timeout(SOON).into_future());
    let Some(BusEvent::Message(call)) = within(SOON, "the call", ticks.next()).await else {
        panic!("a call was to come");
    };
    let to = answer_channel(call.channel.split_once('#').unwrap().1);
    let answered = other.publish(&to, r#"{"A.b":1}"#.into()).await;
    assert_eq!(answered.unwrap(), Receivers::Counted(1));
    calling.await.unwrap().unwrap();
}
