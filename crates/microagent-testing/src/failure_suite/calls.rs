//! Lines 24 to 27 and 29: how calls end when nobody listens, nobody answers, or the connection is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::join_all};
use microagent_core::{Agent, Bus, BusEvent, ErrorKind, RunningAgent, SignalBus, SubscriberCount};

use super::{
    Bench, FailureServer, SOON,
    agents::{AtTick, Listener, Tick, Tock},
    kind_of, until, within,
};

const LONG: Duration = Duration::from_secs(60);

/// 24. Nobody listens: told within a round trip, not after the timeout.
pub async fn line_24_a_call_without_a_receiver_fails_at_once<S: FailureServer>(bench: Bench<S>) {
    let bus = bench.bus().await;
    let called = Instant::now();
    let answer = bus.call("a", Tick { n: 1 }).timeout(LONG).await;
    let lasted = called.elapsed();
    assert_eq!(kind_of(answer), ErrorKind::NoResponders);
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(bus.call_counts().0, 0);
}

/// 25. A handler that fails, or panics: a typed error, not a timeout.
pub async fn line_25_a_failure_is_an_answer<S: FailureServer>(bench: Bench<S>) {
    for (at_tick, words) in [
        (AtTick::Fails, "no ticks today"),
        (AtTick::Panics, "at a tick"),
    ] {
        let caller = bench.bus().await;
        let agent = respond(at_tick, bench.bus().await).await;
        let answer = caller.call("a", Tick { n: 1 }).timeout(SOON).await.unwrap();
        let error = answer.get::<u64>("Listener.tick").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        agent.stop().await.unwrap();
    }
}

/// 26. The server is killed while calls wait: they fail within a second, and no call waits any longer.
///
/// Once the server is back, the same agent answers a call.
pub async fn line_26_a_lost_connection_ends_what_waits<S: FailureServer>(bench: Bench<S>) {
    let (caller, bus) = (bench.bus().await, bench.bus().await);
    let agent = respond(AtTick::Sleeps(LONG), bus).await;
    let calls =
        (0..5).map(|n| tokio::spawn(caller.call("a", Tick { n }).timeout(LONG).into_future()));
    let calls: Vec<_> = calls.collect();
    until("the calls to wait", SOON, async || {
        // One runs, and the others wait behind it.
        caller.call_counts().0 == 5 && agent.agent().ticks.load(Ordering::Relaxed) == 1
    })
    .await;
    bench.server.kill().await.unwrap();
    let lost = Instant::now();
    for call in join_all(calls).await {
        assert_eq!(kind_of(call.unwrap()), ErrorKind::Unavailable);
    }
    let lasted = lost.elapsed();
    assert!(lasted < Duration::from_secs(1), "{lasted:?}");
    assert_eq!(caller.call_counts().0, 0);

    bench.server.restart().await.unwrap();
    until("an answer by way of the server", SOON, async || {
        let answer = caller.call("a", Tock { n: 7 }).timeout(SOON).await;
        answer.is_ok_and(|answer| answer.one::<u64>().is_ok_and(|n| n == 7))
    })
    .await;
}

/// 27. 100,000 calls time out, and then the answers come: nothing waits, and the late ones are counted.
pub async fn line_27_late_answers_are_counted_and_forgotten<S: FailureServer>(bench: Bench<S>) {
    let (caller, other) = (bench.bus().await, bench.bus_driver().await);
    const CALLS: u64 = 100_000;
    let events = other.subscribe("PUBSUB:tick:*").await.unwrap();
    let received = Arc::<AtomicU64>::default();
    let listening = tokio::spawn(answer_channels(events, received.clone()));
    // On a busy machine some end before they are sent.
    let mut start = 0;
    while received.load(Ordering::Relaxed) < CALLS {
        assert!(start < 100 * CALLS, "the calls are not sent");
        let calls = (start..start + 10_000).map(|n| {
            let call = caller.call("a", Tick { n });
            call.timeout(Duration::from_secs(1)).into_future()
        });
        for call in join_all(calls).await {
            assert_eq!(kind_of(call), ErrorKind::Timeout);
        }
        start += 10_000;
    }
    assert_eq!(caller.call_counts(), (0, 0));

    other.publish(AFTER_THE_CALLS, Bytes::new()).await.unwrap();
    let channels = within(SOON, "all calls", listening).await.unwrap();
    let answered = channels.len() as u64;
    for channels in channels.chunks(1000) {
        let publish = |to| other.publish(to, r#"{"Late.tick":1}"#.into());
        for receivers in join_all(channels.iter().map(|to| publish(to))).await {
            assert_eq!(receivers.unwrap(), SubscriberCount::Counted(1));
        }
    }
    until("the late answers", SOON, async || {
        caller.call_counts() == (0, answered)
    })
    .await;
}

const AFTER_THE_CALLS: &str = "PUBSUB:tick:last";

/// Returns the channels of the answers to the calls that arrive, and counts the calls.
async fn answer_channels(
    mut events: impl Stream<Item = BusEvent> + Unpin,
    received: Arc<AtomicU64>,
) -> Vec<String> {
    let mut channels = Vec::new();
    while let Some(event) = events.next().await {
        let BusEvent::Message(call) = event else {
            panic!("only calls were to come: {event:?}");
        };
        if call.channel == AFTER_THE_CALLS {
            break;
        }
        channels.push(answer_channel(&call.channel));
        received.fetch_add(1, Ordering::Relaxed);
    }
    channels
}

/// Returns the channel of the answer to the call on this channel, as any responder finds it.
fn answer_channel(call: &str) -> String {
    format!("PUBSUB:response:late#{}", call.split_once('#').unwrap().1)
}

/// 29. A call right after the start: it is never sent before the server has confirmed the subscription for its answers.
pub async fn line_29_a_first_call_hears_its_answer<S: FailureServer>(bench: Bench<S>) {
    let other = bench.bus_driver().await;
    let _responder = respond(AtTick::Answers, bench.bus().await).await;
    for n in 0..50 {
        let caller = bench.bus().await;
        let answer = caller.call("a", Tock { n }).timeout(SOON).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), n);
    }
    // And as the server sees it: whoever calls is subscribed already.
    let caller = bench.bus().await;
    let mut ticks = other.subscribe("PUBSUB:tick:*").await.unwrap();
    let calling = tokio::spawn(caller.call("a", Tick { n: 1 }).timeout(SOON).into_future());
    let Some(BusEvent::Message(call)) = within(SOON, "the call", ticks.next()).await else {
        panic!("a call was to come");
    };
    let to = answer_channel(&call.channel);
    let answered = other.publish(&to, r#"{"A.b":1}"#.into()).await;
    assert_eq!(answered.unwrap(), SubscriberCount::Counted(1));
    calling.await.unwrap().unwrap();
}

/// Starts a [`Listener`].
///
/// # Panics
/// When it does not start.
pub async fn respond(at_tick: AtTick, bus: Bus) -> RunningAgent<Listener> {
    let agent = Agent::new(Listener::new(at_tick)).bus(bus);
    agent.start().await.unwrap()
}
