//! Lines 24 to 27 and 29, of calls, and what line 28 needs.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::join_all};
use microagent_core::{Agent, Bus, BusEvent, ErrorKind, Receivers, RunningAgent, SignalBus};

use super::{
    SOON,
    agents::{AtTick, Listener, Tick, Tock},
    kind_of, until, within,
};

const LONG: Duration = Duration::from_secs(60);

/// 24. Nobody listens: told within a round trip, not after the timeout.
pub(crate) async fn a_call_that_nobody_hears_fails_at_once(bus: &Bus) {
    let called = Instant::now();
    let answer = bus.call("a", Tick { n: 1 }).timeout(LONG).await;
    let lasted = called.elapsed();
    assert_eq!(kind_of(answer), ErrorKind::NoResponders);
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(bus.call_counts().0, 0);
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
pub(crate) async fn a_failure_is_an_answer(connect: impl AsyncFn() -> Bus) {
    for (at_tick, told) in [
        (AtTick::Fails, "no ticks today"),
        (AtTick::Panics, "at a tick"),
    ] {
        let (caller, agent) = (connect().await, respond(at_tick, connect().await).await);
        let answer = caller.call("a", Tick { n: 1 }).timeout(SOON).await.unwrap();
        let error = answer.get::<u64>("Listener.tick").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        agent.stop().await.unwrap();
    }
}

/// 26. The connection is lost while calls wait: they fail within a second, and nothing waits any more. The agent goes on.
pub(crate) async fn a_lost_connection_ends_what_waits(
    caller: &Bus,
    bus: Bus,
    lose: impl FnOnce(),
) -> RunningAgent<Listener> {
    let agent = respond(AtTick::Sleeps(LONG), bus).await;
    let calls =
        (0..5).map(|n| tokio::spawn(caller.call("a", Tick { n }).timeout(LONG).into_future()));
    let calls: Vec<_> = calls.collect();
    until("the calls to wait", SOON, async || {
        // One runs, and the others wait behind it.
        caller.call_counts().0 == 5 && agent.agent().ticks.load(Ordering::Relaxed) == 1
    })
    .await;
    lose();
    let lost = Instant::now();
    for call in join_all(calls).await {
        assert_eq!(kind_of(call.unwrap()), ErrorKind::Unavailable);
    }
    let lasted = lost.elapsed();
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(caller.call_counts().0, 0);
    agent
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
pub(crate) async fn late_answers_are_counted_and_forgotten(caller: &Bus, other: &dyn SignalBus) {
    const CALLS: u64 = 100_000;
    let heard = other.subscribe("PUBSUB:tick:*").await.unwrap();
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

    other.publish(AFTER_THE_CALLS, Bytes::new()).await.unwrap();
    let channels = within(SOON, "all calls", listening).await.unwrap();
    // On a busy machine some end before they are sent.
    let answered = channels.len() as u64;
    assert!(answered > CALLS * 9 / 10, "{answered} calls were heard");
    for channels in channels.chunks(1000) {
        let publish = |to| other.publish(to, r#"{"Late.tick":1}"#.into());
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
        channels.push(answer_channel(&call.channel));
    }
    channels
}

/// Where the answer to the call on this channel goes, as any responder finds out.
fn answer_channel(call: &str) -> String {
    format!("PUBSUB:response:late#{}", call.split_once('#').unwrap().1)
}

/// 29. A call right after the start: it is never sent before the server has confirmed the subscription for its answers.
pub(crate) async fn a_first_call_hears_its_answer(
    connect: impl AsyncFn() -> Bus,
    other: &dyn SignalBus,
) {
    let _responder = respond(AtTick::Answers, connect().await).await;
    for n in 0..50 {
        let caller = connect().await;
        let answer = caller.call("a", Tock { n }).timeout(SOON).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), n);
    }
    // And as the server sees it: whoever calls is subscribed already.
    let caller = connect().await;
    let mut ticks = other.subscribe("PUBSUB:tick:*").await.unwrap();
    let calling = tokio::spawn(caller.call("a", Tick { n: 1 }).timeout(SOON).into_future());
    let Some(BusEvent::Message(call)) = within(SOON, "the call", ticks.next()).await else {
        panic!("a call was to come");
    };
    let to = answer_channel(&call.channel);
    let answered = other.publish(&to, r#"{"A.b":1}"#.into()).await;
    assert_eq!(answered.unwrap(), Receivers::Counted(1));
    calling.await.unwrap().unwrap();
}

/// An agent that hears.
pub(crate) async fn respond(at_tick: AtTick, bus: Bus) -> RunningAgent<Listener> {
    let agent = Agent::new(Listener::new(at_tick)).bus(bus);
    agent.start().await.unwrap()
}
