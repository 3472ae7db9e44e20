//! A hub that is to end waits for those who have something of it.

use tokio::{task::JoinHandle, time::Instant};

use super::*;
use crate::hub::drain::DRAIN_TIMEOUT;

/// Asks the hub to drain; done when it has.
async fn draining(hub: &Hub) -> JoinHandle<()> {
    let hub = hub.clone();
    let draining = tokio::spawn(async move { hub.drain().await });
    // Until the actor has heard of it.
    timeout(Duration::from_millis(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    draining
}

#[tokio::test(start_paused = true)]
async fn messages_in_flight_are_settled_before_the_hub_ends_and_no_others_are_delivered() {
    let store = SharedStore::default();
    let hub = store.hub();
    let (mut busy, mut idle) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    busy.consume(1, "mailer", 2).await;
    for text in ["a", "b", "c"] {
        idle.send("mailer", text).await;
    }
    let (first, second) = (busy.delivery().await, busy.delivery().await);
    let draining = draining(&hub).await;
    idle.consume(1, "mailer", 8).await;
    busy.settle(&first, WireSettlement::Ack).await.unwrap();
    // A client that connects now is served.
    let mut late = Peer::join(&hub, 4).await;
    late.send("mailer", "d").await;
    idle.hears_nothing_for(5).await;
    assert!(!draining.is_finished());

    busy.settle(&second, WireSettlement::Ack).await.unwrap();
    draining.await.unwrap();
    busy.hears_nothing_for(1).await;
    hub.close().await.unwrap();
    let left: Vec<_> = store.snapshot().messages;
    assert_eq!(left.len(), 2, "the first two are handled");

    let next = store.hub();
    let mut busy = Peer::join(&next, OTHER).await;
    busy.consume(1, "mailer", 8).await;
    assert_eq!(busy.payloads(2).await, ["c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn it_waits_no_longer_than_for_its_patience() {
    let hub = hub().await;
    let mut busy = Peer::join(&hub, OTHER).await;
    busy.consume(1, "mailer", 2).await;
    busy.send("mailer", "a").await;
    busy.delivery().await;
    let start = Instant::now();
    hub.drain().await;
    assert!((DRAIN_TIMEOUT..2 * DRAIN_TIMEOUT).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_nobody_who_has_nothing_or_is_gone() {
    let hub = hub().await;
    let (mut dying, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    dying.consume(1, "mailer", 2).await;
    other.send("mailer", "a").await;
    dying.delivery().await;
    let start = Instant::now();
    let draining = draining(&hub).await;
    drop(dying);
    draining.await.unwrap();
    hub.drain().await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(
        other.length("mailer").await,
        1,
        "it goes on until it is closed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_body_was_not_read_yet_is_returned_and_not_waited_for() {
    let store = SharedStore::default();
    let old = store.hub();
    Peer::join(&old, OTHER).await.send("mailer", "a").await;
    old.close().await.unwrap();

    // Its body has to be read first, which fails for now.
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    let queue = "mailer".into();
    peer.done(Request::Declare { queue }).await.unwrap();
    store.fill(true);
    peer.consume(1, "mailer", 1).await;
    assert_eq!(peer.length("mailer").await, 0, "it is handed out");

    let start = Instant::now();
    hub.drain().await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(peer.length("mailer").await, 1);
    store.fill(false);
    peer.hears_nothing_for(5).await;
}
