//! Processes that go: in peace, by accident, or silently.

use super::*;

#[tokio::test(start_paused = true)]
async fn messages_of_a_dead_process_are_suspects_and_come_alone() {
    let store = SharedStore::default();
    let hub = store.hub();
    let (mut dying, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    for text in ["a", "b", "c"] {
        other.send("mailer", text).await;
    }
    dying.consume(1, "mailer", 2).await;
    assert_eq!(dying.payloads(2).await, ["a", "b"]);
    drop(dying);

    other.consume(1, "mailer", 8).await;
    let mut received = other.delivery().await;
    if received.payload == "c" {
        // It was free before the death was noticed.
        other.settle(&received, WireSettlement::Ack).await.unwrap();
        received = other.delivery().await;
    }
    assert_eq!((received.payload.as_str(), received.crashes), ("a", 1));
    let suspects = store.snapshot().messages;
    let suspects = suspects.iter().filter(|message| message.crashes == 1);
    assert_eq!(suspects.count(), 2);
    other.hears_nothing_for(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_goodbye_leaves_no_suspects() {
    let hub = hub().await;
    let (mut leaving, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    for text in ["a", "b", "c"] {
        other.send("mailer", text).await;
    }
    leaving.consume(1, "mailer", 2).await;
    leaving.payloads(2).await;
    leaving.done(Request::Goodbye).await.unwrap();
    drop(leaving);

    other.consume(1, "mailer", 8).await;
    for text in ["a", "b", "c"] {
        let received = other.delivery().await;
        assert_eq!((received.payload.as_str(), received.crashes), (text, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_silent_for_too_long_is_dead() {
    let hub = hub().await;
    let (mut stopped, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    stopped.consume(1, "mailer", 8).await;
    other.send("mailer", "a").await;
    let held = stopped.delivery().await;
    other.consume(1, "mailer", 8).await;

    for _ in 0..3 {
        other.hears_nothing_for(5).await;
        other.say(ClientFrame::Ping).await;
        assert_eq!(other.next().await, HubFrame::Pong);
    }
    let received = other.delivery().await;
    assert_eq!((received.id, received.crashes), (held.id, 1));
    assert_eq!(stopped.try_next().await, None, "and its connection is over");
}

/// Line 5 of the failure contract: a handler may take as long as it likes, while its process lives.
#[tokio::test(start_paused = true)]
async fn line_05_what_a_living_process_handles_for_hours_is_delivered_once() {
    let hub = hub().await;
    let (mut busy, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    busy.consume(1, "mailer", 1).await;
    other.send("mailer", "a").await;
    let held = busy.delivery().await;
    other.consume(1, "mailer", 8).await;

    let start = tokio::time::Instant::now();
    while start.elapsed() < 3600 * Duration::from_secs(1) {
        for peer in [&mut busy, &mut other] {
            peer.say(ClientFrame::Ping).await;
            assert_eq!(peer.next().await, HubFrame::Pong);
        }
        other.hears_nothing_for(5).await;
    }
    busy.settle(&held, WireSettlement::Ack).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deliveries_in_the_hosts_own_process_are_recorded_until_they_are_settled() {
    let store = SharedStore::default();
    let hub = store.hub();
    let (mut own, mut other) = (Peer::join(&hub, HOST).await, Peer::join(&hub, OTHER).await);
    for text in ["a", "b", "c", "d", "e"] {
        other.send("mailer", text).await;
    }
    own.consume(1, "mailer", 4).await;
    let (acked, retried, returned) = (
        own.delivery().await,
        own.delivery().await,
        own.delivery().await,
    );
    let kept = own.delivery().await;
    other.consume(1, "mailer", 1).await;
    let elsewhere = other.delivery().await;
    own.done(cancel(1, false)).await.unwrap();
    own.settle(&acked, WireSettlement::Ack).await.unwrap();
    let after = Duration::from_secs(1);
    own.settle(&retried, WireSettlement::Retry { after })
        .await
        .unwrap();
    own.settle(&returned, WireSettlement::Return).await.unwrap();

    let taken: Vec<_> = store
        .snapshot()
        .messages
        .into_iter()
        .filter(|message| message.taken)
        .map(|message| message.id)
        .collect();
    assert_eq!(taken, [kept.id]);
    assert_ne!(taken, [elsewhere.id]);
}

#[tokio::test(start_paused = true)]
async fn after_the_death_of_the_host_its_own_messages_are_suspect_and_the_others_are_not() {
    let store = SharedStore::default();
    let first = store.hub();
    let (mut own, mut other) = (
        Peer::join(&first, HOST).await,
        Peer::join(&first, OTHER).await,
    );
    other.send("mailer", "own").await;
    own.consume(1, "mailer", 1).await;
    own.delivery().await;
    other.send("mailer", "other").await;
    other.consume(1, "mailer", 1).await;
    other.delivery().await;

    // The store as the host's `kill -9` leaves it.
    let second = store.hub();
    let mut survivor = Peer::join(&second, 3).await;
    assert_eq!(survivor.length("mailer").await, 2);
    survivor.consume(1, "mailer", 8).await;
    let suspect = survivor.delivery().await;
    assert_eq!((suspect.payload.as_str(), suspect.crashes), ("own", 1));
    survivor
        .settle(&suspect, WireSettlement::Ack)
        .await
        .unwrap();
    let bystander = survivor.delivery().await;
    assert_eq!(
        (bystander.payload.as_str(), bystander.crashes),
        ("other", 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_ends_in_peace_leaves_no_suspects() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut own = Peer::join(&hub, HOST).await;
    own.send("mailer", "a").await;
    own.consume(1, "mailer", 1).await;
    own.delivery().await;
    assert!(store.snapshot().messages[0].taken);
    hub.close().await.unwrap();
    let left = store.snapshot().messages;
    assert!(!left[0].taken && left[0].crashes == 0);
}
