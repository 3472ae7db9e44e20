//! The state that survives the hub, and failures of the store.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_hub_goes_on_where_the_old_one_was() {
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    for text in ["a", "b"] {
        peer.send("mailer", text).await;
    }
    peer.done(send("mailer", "late", Some(60))).await.unwrap();
    old.close().await.unwrap();

    let new = store.hub();
    let mut peer = Peer::join(&new, OTHER).await;
    peer.consume(1, "mailer", 8).await;
    assert_eq!(peer.payloads(2).await, ["a", "b"]);
    peer.send("mailer", "c").await;
    assert_eq!(peer.payloads(1).await, ["c"]);
    for _ in 0..20 {
        peer.say(ClientFrame::Ping).await;
        match peer.next().await {
            HubFrame::Pong => peer.reader.get_ref(),
            HubFrame::Delivery { message, .. } => {
                assert_eq!(message.payload, "late");
                return;
            }
            other => panic!("unexpected: {other:?}"),
        };
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    panic!("the delayed message did not come");
}

#[tokio::test(start_paused = true)]
async fn bodies_out_of_the_store_and_out_of_memory_keep_their_order() {
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    for number in 0..50 {
        peer.send("mailer", &number.to_string()).await;
    }
    old.close().await.unwrap();
    let new = store.hub();
    let mut peer = Peer::join(&new, OTHER).await;
    for number in 50..100 {
        peer.send("mailer", &number.to_string()).await;
    }
    peer.consume(1, "mailer", 100).await;
    let expected: Vec<_> = (0..100).map(|number: u32| number.to_string()).collect();
    assert_eq!(peer.payloads(100).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_unwritable_message_is_refused_and_an_unremoved_one_is_delivered_again() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", "kept").await;
    peer.consume(1, "mailer", 1).await;
    let received = peer.delivery().await;

    store.fill(true);
    let refused = peer.done(send("mailer", "lost", None)).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.text.as_str()),
        (ErrorKind::Driver, "the disk is full")
    );
    assert_eq!(peer.length("mailer").await, 0);
    for settlement in [
        WireSettlement::Ack,
        WireSettlement::Retry {
            after: Duration::from_secs(60),
        },
    ] {
        peer.settle(&received, settlement).await.unwrap_err();
        peer.hears_nothing_for(9).await;
        let again = peer.delivery().await;
        assert_eq!((again.id, again.attempt), (received.id, 1));
    }
    store.fill(false);
    peer.settle(&received, WireSettlement::Ack).await.unwrap();
    assert!(store.snapshot().messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_is_read_later() {
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    peer.send("mailer", "a").await;
    old.close().await.unwrap();

    let new = store.hub();
    let mut peer = Peer::join(&new, OTHER).await;
    let queue = "mailer".into();
    peer.done(Request::Declare { queue }).await.unwrap();
    store.fill(true);
    peer.consume(1, "mailer", 1).await;
    peer.hears_nothing_for(5).await;
    store.fill(false);
    assert_eq!(peer.payloads(1).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_taken_in_whole_though_it_is_larger_than_the_window() {
    let hub = hub().await;
    let (mut sender, mut reader) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    let payload = "x".repeat(1024 * 1024);
    for _ in 0..80 {
        sender.send("mailer", &payload).await;
    }
    assert_eq!(reader.length("mailer").await, 80);
    reader.consume(1, "mailer", 80).await;
    for _ in 0..80 {
        assert_eq!(reader.delivery().await.payload.len(), payload.len());
    }
}
