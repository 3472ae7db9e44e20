//! What people do with waiting messages, and who has which key.

use super::*;

fn peek(skip: u32, limit: u32) -> Requested {
    let queue = "mailer.dead".into();
    Requested::ByHand(ByHand::Peek { queue, skip, limit })
}

fn requeue(limit: u32) -> Requested {
    let (from, to) = ("mailer.dead".into(), "mailer".into());
    Requested::ByHand(ByHand::Requeue { from, to, limit })
}

fn purge() -> Requested {
    let queue = "mailer.dead".into();
    Requested::ByHand(ByHand::Purge { queue, limit: 9 })
}

fn lease(holder: &str) -> Requested {
    Requested::Lease {
        key: "nightly".into(),
        holder: holder.into(),
        ttl: Duration::from_secs(60),
    }
}

impl Peer {
    async fn shown(&mut self, request: Requested) -> Vec<String> {
        let asked = self.ask(request).await;
        let mut shown = Vec::new();
        loop {
            match self.next().await {
                HubFrame::Shown { request, letter } if request == asked => {
                    shown.push(text_of(&letter));
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
async fn what_cannot_be_written_stays_where_it_was() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    for text in ["a", "b"] {
        peer.send("mailer.dead", text).await;
    }
    store.fill(true);
    for request in [requeue(9), purge(), lease("one")] {
        let refused = peer.done(request).await.unwrap_err();
        assert!(refused.text.contains("disk is full"), "{refused}");
    }
    store.fill(false);
    assert_eq!(peer.shown(peek(0, 9)).await, ["a", "b"]);
    assert_eq!(peer.count(lease("two")).await, 0, "one did not get it");
    assert_eq!(peer.count(requeue(1)).await, 1);
    assert_eq!(peer.count(purge()).await, 1);
    assert_eq!(peer.length("mailer").await, 1);
    assert_eq!(store.snapshot().messages.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_outlives_its_hub_and_is_forgotten_when_it_has_ended() {
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    assert_eq!(peer.count(lease("one")).await, 0);
    assert_eq!(peer.count(lease("two")).await, 60_000);
    old.close().await.unwrap();

    let new = store.hub();
    let mut peer = Peer::join(&new, OTHER).await;
    // By the wall clock, which goes on while the time of the test stands still.
    let left = peer.count(lease("two")).await;
    assert!((30_000..=60_000).contains(&left), "{left} ms");
    tokio::time::advance(Duration::from_secs(61)).await;
    let mut peer = Peer::join(&new, OTHER).await;
    assert_eq!(peer.count(lease("two")).await, 0);
    let leases = store.snapshot().leases;
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].holder, "two");
}
