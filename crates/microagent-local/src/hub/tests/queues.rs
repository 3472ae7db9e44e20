//! Post: kept until handled, one at a time, in order.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_waits_is_delivered_and_is_gone_when_handled() {
    let store = SharedStore::default();
    let hub = store.hub();
    let (mut sender, mut worker) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    sender.send("mailer", "hi").await;
    assert_eq!(sender.length("mailer").await, 1);
    assert_eq!(sender.length("nobody").await, 0);

    worker.consume(5, "mailer", 8).await;
    let received = worker.delivery().await;
    assert_eq!(
        (received.consumer, received.attempt, received.crashes),
        (5, 1, 0)
    );
    assert_eq!(received.payload, "hi");
    assert_eq!(sender.length("mailer").await, 0);

    worker.settle(&received, WireSettlement::Ack).await.unwrap();
    assert!(store.snapshot().messages.is_empty());
    let twice = worker
        .settle(&received, WireSettlement::Ack)
        .await
        .unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn headers_travel_and_prefetch_bounds_what_is_out() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    for number in 0..4 {
        let request = Request::Send {
            queue: "mailer".into(),
            payload: number.to_string().into(),
            headers: vec![("trace".into(), "t1".into())],
            delay: None,
        };
        peer.done(request).await.unwrap();
    }
    peer.consume(1, "mailer", 2).await;
    let first = peer.delivery().await;
    assert_eq!(first.headers, [("trace".to_owned(), "t1".to_owned())]);
    assert_eq!(peer.delivery().await.payload, "1");
    peer.hears_nothing_for(10).await;

    peer.settle(&first, WireSettlement::Ack).await.unwrap();
    assert_eq!(peer.delivery().await.payload, "2");
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_after_its_delay_as_the_next_attempt() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", "hi").await;
    peer.consume(1, "mailer", 8).await;
    let received = peer.delivery().await;
    let after = Duration::from_secs(9);
    peer.settle(&received, WireSettlement::Retry { after })
        .await
        .unwrap();
    assert_eq!(store.snapshot().messages[0].attempt, 2);

    peer.hears_nothing_for(8).await;
    let again = peer.delivery().await;
    assert_eq!((again.id, again.attempt), (received.id, 2));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_is_not_counted_and_comes_when_it_is_due() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.done(send("mailer", "later", Some(10))).await.unwrap();
    assert_eq!(peer.length("mailer").await, 0);
    peer.consume(1, "mailer", 8).await;
    peer.hears_nothing_for(9).await;
    assert_eq!(peer.delivery().await.payload, "later");
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_in_its_queue_with_its_reason() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", "bad").await;
    peer.consume(1, "mailer", 8).await;
    let received = peer.delivery().await;
    let settlement = WireSettlement::DeadLetter {
        queue: "mailer.dead".into(),
        headers: vec![("why".into(), "because".into())],
    };
    peer.settle(&received, settlement).await.unwrap();
    assert_eq!(peer.length("mailer.dead").await, 1);

    peer.consume(2, "mailer.dead", 8).await;
    let dead = peer.delivery().await;
    assert_eq!((dead.payload.as_str(), dead.attempt), ("bad", 1));
    assert_eq!(dead.headers, [("why".to_owned(), "because".to_owned())]);
    assert!(dead.id > received.id);
}

#[tokio::test(start_paused = true)]
async fn a_returned_message_comes_first_as_the_same_attempt() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b"] {
        peer.send("mailer", text).await;
    }
    peer.consume(1, "mailer", 1).await;
    let first = peer.delivery().await;
    peer.settle(&first, WireSettlement::Return).await.unwrap();
    let again = peer.delivery().await;
    assert_eq!((again.payload.as_str(), again.attempt), ("a", 1));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_consumer_gets_nothing_more_and_may_still_settle() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.consume(1, "mailer", 8).await;
    peer.send("mailer", "a").await;
    let received = peer.delivery().await;
    peer.done(cancel(1, false)).await.unwrap();
    peer.send("mailer", "b").await;
    peer.settle(&received, WireSettlement::Ack).await.unwrap();
    assert_eq!(peer.length("mailer").await, 1);
    assert_eq!(peer.done(cancel(1, true)).await, Ok(()), "harmless");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_gives_back_cannot_settle_the_next_ones_copy() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", "a").await;
    peer.consume(1, "mailer", 8).await;
    let old = peer.delivery().await;
    peer.done(cancel(1, true)).await.unwrap();

    peer.consume(2, "mailer", 8).await;
    let new = peer.delivery().await;
    assert_eq!((new.id, new.crashes), (old.id, 0));
    assert!(peer.settle(&old, WireSettlement::Ack).await.is_err());
    peer.settle(&new, WireSettlement::Ack).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queues_exist_durably_when_they_are_declared_or_consumed() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    for _ in 0..2 {
        let queue = "empty".into();
        peer.done(Request::Declare { queue }).await.unwrap();
    }
    peer.consume(1, "eager", 8).await;
    let queues = store.snapshot().queues;
    assert_eq!(queues, ["eager".into(), "empty".into()]);

    let again = Request::Consume {
        consumer: 1,
        queue: "other".into(),
        prefetch: 1,
    };
    assert_eq!(peer.done(again).await.unwrap_err().kind, ErrorKind::Refused);
}
