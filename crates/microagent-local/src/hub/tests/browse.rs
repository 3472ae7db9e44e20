//! Browsing: peek, requeue and purge; and the holders of keys.

use super::*;

fn peek(skip: u32, limit: u32) -> Request {
    let queue = "mailer.dead".into();
    Request::Browse(Browse::Peek { queue, skip, limit })
}

fn requeue(limit: u32) -> Request {
    let (from, to) = ("mailer.dead".into(), "mailer".into());
    Request::Browse(Browse::Requeue { from, to, limit })
}

fn requeue_one(message: MessageId) -> Request {
    let (from, to) = ("mailer.dead".into(), "mailer".into());
    Request::Browse(Browse::RequeueOne { from, to, message })
}

fn purge_one(message: MessageId) -> Request {
    let queue = "mailer.dead".into();
    Request::Browse(Browse::PurgeOne { queue, message })
}

fn purge() -> Request {
    let queue = "mailer.dead".into();
    Request::Browse(Browse::Purge { queue, limit: 9 })
}

fn lease(holder: &str) -> Request {
    Request::Lease {
        key: "nightly".into(),
        holder: holder.into(),
        ttl: Duration::from_secs(60),
    }
}

impl Peer {
    async fn depth(&mut self, queue: &str) -> QueueCounts {
        let queue = queue.into();
        let asked = self.ask(Request::Depth { queue }).await;
        loop {
            match self.read().await.expect("the hub is silent or gone") {
                HubFrame::Depth(id, counts) if id == asked => return counts,
                other => self.kept.push_back(other),
            }
        }
    }

    async fn shown(&mut self, request: Request) -> Vec<String> {
        let asked = self.ask(request).await;
        let mut shown = Vec::new();
        loop {
            match self.next().await {
                HubFrame::Shown { request, message } if request == asked => {
                    shown.push(text_of(&message));
                }
                HubFrame::Done(id, result) if id == asked => {
                    result.unwrap();
                    return shown;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_shows_a_part_and_changes_nothing() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b", "c"] {
        peer.send("mailer.dead", text).await;
    }
    let before = store.snapshot();
    assert_eq!(peer.shown(peek(0, 2)).await, ["a", "b"]);
    assert_eq!(peer.shown(peek(2, 2)).await, ["c"]);
    assert_eq!(peer.shown(peek(3, 2)).await, [""; 0]);
    assert_eq!(store.snapshot(), before);
    assert_eq!(peer.length("mailer.dead").await, 3);
}

#[tokio::test(start_paused = true)]
async fn messages_stay_in_place_if_the_disk_fails() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b"] {
        peer.send("mailer.dead", text).await;
    }
    store.fill(true);
    for request in [
        requeue(9),
        requeue_one(1),
        purge(),
        purge_one(1),
        lease("one"),
    ] {
        let refused = peer.done(request).await.unwrap_err();
        assert!(refused.text.contains("disk is full"), "{refused}");
    }
    store.fill(false);
    assert_eq!(peer.shown(peek(0, 9)).await, ["a", "b"]);
    assert_eq!(peer.lease(lease("two")).await, None, "one did not get it");
    assert_eq!(peer.count(requeue(1)).await, 1);
    assert_eq!(peer.count(purge()).await, 1);
    assert_eq!(peer.length("mailer").await, 1);
    assert_eq!(store.snapshot().messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_waiting_message_is_moved_or_removed_by_its_id() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b", "c"] {
        peer.send("mailer.dead", text).await;
    }
    let ids: Vec<_> = store.snapshot().messages.iter().map(|row| row.id).collect();
    assert_eq!(peer.count(requeue_one(ids[1])).await, 1);
    assert_eq!(peer.count(purge_one(ids[2])).await, 1);
    for gone in [ids[1], ids[2], MessageId::MAX] {
        assert_eq!(peer.count(requeue_one(gone)).await, 0);
        assert_eq!(peer.count(purge_one(gone)).await, 0);
    }
    assert_eq!(peer.shown(peek(0, 9)).await, ["a"]);

    peer.consume(1, "mailer", 1).await;
    assert_eq!(peer.delivery().await.payload, "b");
    peer.consume(2, "mailer.dead", 1).await;
    assert_eq!(peer.delivery().await.payload, "a");
    assert_eq!(peer.count(purge_one(ids[0])).await, 0, "it is in flight");
}

#[tokio::test(start_paused = true)]
async fn the_depth_of_a_queue_counts_its_messages_by_state() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b", "c"] {
        peer.send("mailer", text).await;
    }
    peer.done(send("mailer", "d", Some(60))).await.unwrap();
    peer.consume(1, "mailer", 1).await;
    let received = peer.delivery().await;
    assert_eq!(peer.depth("mailer").await, counts(2, 1, 1));
    peer.settle(&received, WireSettlement::Ack).await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(peer.depth("mailer").await, counts(2, 1, 0));
    assert_eq!(peer.depth("other").await, counts(0, 0, 0));
}

fn counts(waiting: u64, in_flight: u64, delayed: u64) -> QueueCounts {
    QueueCounts {
        waiting,
        in_flight,
        delayed,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_hub_and_is_forgotten_when_it_has_ended() {
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    assert_eq!(peer.lease(lease("one")).await, None);
    let left = peer.lease(lease("two")).await;
    assert_eq!(left, Some(Duration::from_secs(60)));
    old.close().await.unwrap();

    let new = store.hub();
    let mut peer = Peer::join(&new, OTHER).await;
    // By the wall clock, which goes on while the time of the test stands still.
    let left = peer.lease(lease("two")).await.unwrap();
    let expected = Duration::from_secs(30)..=Duration::from_secs(60);
    assert!(expected.contains(&left), "{left:?}");
    tokio::time::advance(Duration::from_secs(61)).await;
    let mut peer = Peer::join(&new, OTHER).await;
    assert_eq!(peer.lease(lease("two")).await, None);
    let leases = store.snapshot().leases;
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].holder, "two");
}
