//! Signals: every subscriber receives them, and a client that does not read delays no other client.

use super::*;
use crate::hub::{
    connections::{ConnectionId, Connections},
    outgoing::MAX_WAITING,
    signals::Signals,
};

fn publish(channel: &str, payload: impl Into<bytes::Bytes>) -> Request {
    Request::Publish {
        channel: channel.into(),
        payload: payload.into(),
    }
}

fn subscribe(sub: LocalId, pattern: &str) -> Request {
    let pattern = pattern.into();
    Request::Subscribe { sub, pattern }
}

fn event(sub: LocalId, channel: &str, payload: &'static str) -> HubFrame {
    HubFrame::Event {
        sub,
        channel: channel.into(),
        payload: payload.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn everyone_who_listens_hears_the_sender_included() {
    let hub = hub().await;
    let (mut one, mut two) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    one.done(subscribe(1, "P:started:*")).await.unwrap();
    two.done(subscribe(1, "P:started:*")).await.unwrap();
    two.done(subscribe(2, "P:*")).await.unwrap();
    two.done(subscribe(3, "P:other:*")).await.unwrap();

    assert_eq!(one.count(publish("P:started:shell", "{}")).await, 3);
    assert_eq!(one.next().await, event(1, "P:started:shell", "{}"));
    assert_eq!(two.next().await, event(1, "P:started:shell", "{}"));
    assert_eq!(two.next().await, event(2, "P:started:shell", "{}"));

    two.done(Request::Unsubscribe { sub: 1 }).await.unwrap();
    assert_eq!(two.count(publish("P:nobody", "")).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_connection() {
    let hub = hub().await;
    let (mut one, mut two) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    two.done(subscribe(1, "*")).await.unwrap();
    drop(two);
    while one.count(publish("a", "")).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_misses_signals_and_is_told() {
    let hub = hub().await;
    let (mut sender, mut slow) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    slow.done(subscribe(1, "*")).await.unwrap();

    let megabyte = bytes::Bytes::from(vec![b'x'; 1024 * 1024]);
    let sent = 2 * MAX_WAITING / megabyte.len();
    for _ in 0..sent {
        assert_eq!(sender.count(publish("a", megabyte.clone())).await, 1);
    }

    let mut received = 0;
    let missed = loop {
        match slow.next().await {
            HubFrame::Event { .. } => received += 1,
            HubFrame::Gap { sub: 1, count, .. } => break count,
            other => panic!("unexpected: {other:?}"),
        }
    };
    assert_eq!(received + usize::try_from(missed).unwrap(), sent);
    assert!(received >= MAX_WAITING / megabyte.len());

    sender.count(publish("b", "after")).await;
    assert_eq!(slow.next().await, event(1, "b", "after"));
}

#[test]
fn a_hundred_thousand_subscriptions_come_and_go_at_once() {
    let (mut signals, connection) = (Signals::default(), ConnectionId(1));
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        for sub in 0..100_000 {
            let pattern = format!("PUBSUB:signal_{sub}:*");
            signals.subscribe(connection, sub, &pattern).unwrap();
        }
        for sub in 0..50_000 {
            signals.unsubscribe(connection, sub);
        }
        signals.remove(connection);
    }
    let connections = Connections::default();
    let receivers = signals.publish(&"PUBSUB:signal_1:a".into(), &"".into(), &connections);
    assert_eq!(receivers, 0);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
