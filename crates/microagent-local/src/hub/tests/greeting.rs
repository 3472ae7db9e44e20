//! Tests of the greeting, and of clients that disconnect or are silent.

use super::*;
use crate::hub::MAX_CONNECTIONS;

#[tokio::test(start_paused = true)]
async fn a_peer_of_another_version_learns_ours_and_is_let_go() {
    let hub = hub().await;
    let mut peer = Peer::open(&hub);
    peer.greet(VERSION + 1, OTHER).await;
    assert_eq!(peer.next().await, HubFrame::Welcome { version: VERSION });
    assert_eq!(peer.try_next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_greet_is_disconnected() {
    let hub = hub().await;
    let mut rude = Peer::open(&hub);
    rude.say(ClientFrame::Ping).await;
    assert_eq!(rude.try_next().await, None);

    let mut silent = Peer::open(&hub);
    assert_eq!(
        silent.try_next().await,
        None,
        "the hub waits for a greeting for a while only"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_greeting_ends_only_its_own_connection() {
    let hub = hub().await;
    let (mut confused, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    confused.greet(VERSION, OTHER).await;
    assert_eq!(confused.try_next().await, None);
    other.send("mailer", "{}").await;
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_keep_a_connection_alive() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    for _ in 0..20 {
        peer.say(ClientFrame::Ping).await;
        assert_eq!(peer.next().await, HubFrame::Pong);
        peer.hears_nothing_for(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_closes_answers_first() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    let asked = peer.ask(send("mailer", "{}", None)).await;
    tokio::task::yield_now().await;
    hub.close().await.unwrap();
    assert_eq!(peer.next().await, HubFrame::AllDone(asked, asked));
    assert_eq!(peer.try_next().await, None);
    assert_eq!(store.snapshot().messages.len(), 1);
    assert_eq!(hub.close().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_first_frame_that_is_no_greeting_costs_no_memory() {
    let hub = hub().await;
    let mut peer = Peer::open(&hub);
    peer.writer
        .put(&ClientFrame::Request(
            1,
            send("mailer", &"x".repeat(5000), None),
        ))
        .unwrap();
    // The hub may be gone before it has read everything.
    let _ = peer.writer.flush().await;
    assert_eq!(peer.try_next().await, None);

    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", &"x".repeat(5000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_rejects_connections_beyond_its_maximum_until_one_ends() {
    let hub = hub().await;
    let mut peers: Vec<_> = (0..MAX_CONNECTIONS).map(|_| Peer::open(&hub)).collect();
    let mut rejected = Peer::open(&hub);
    rejected.greet(VERSION, OTHER).await;
    let HubFrame::Done(0, Err(failure)) = rejected.next().await else {
        panic!("expected a failure");
    };
    assert_eq!(failure.kind, ErrorKind::Unavailable);
    let expected = format!("expected at most {MAX_CONNECTIONS}");
    assert!(failure.text.contains(&expected), "{failure}");
    assert_eq!(rejected.try_next().await, None);

    let mut served = peers.pop().unwrap();
    served.greet(VERSION, OTHER).await;
    assert_eq!(served.next().await, HubFrame::Welcome { version: VERSION });
    drop(peers.pop());
    let mut answer = None;
    for _ in 0..100 {
        let mut next = Peer::open(&hub);
        next.greet(VERSION, OTHER).await;
        answer = Some(next.next().await);
        if answer == Some(HubFrame::Welcome { version: VERSION }) {
            return;
        }
    }
    panic!("the place of a connection that ended is free again: {answer:?}");
}
