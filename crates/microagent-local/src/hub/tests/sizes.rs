//! The hub can deliver every message that it accepts, and a message that it cannot deliver stops no other one.

use microagent_core::{DEFAULT_MAX_PAYLOAD, header};

use super::*;
use crate::{
    protocol::{MAX_FRAME, MAX_HEADERS, MAX_HUB_FRAME},
    store::StoredMessage,
};

fn sized(payload: usize, headers: Headers) -> Request {
    Request::Send {
        queue: "q".into(),
        payload: vec![b'x'; payload].into(),
        headers,
        delay: None,
    }
}

/// Headers that take so many bytes in a frame.
fn headers_of(bytes: usize) -> Headers {
    vec![("h".to_owned(), "v".repeat(bytes - 9))]
}

/// A frame of a client that is as large as it may be: a delivery of the same message is 3 bytes larger.
#[tokio::test(start_paused = true)]
async fn a_message_as_large_as_a_frame_is_refused_and_its_queue_goes_on() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    let around = 9 + 1 + 5 + 8 + 4 + 4;
    for missing in 0..4 {
        let request = sized(MAX_FRAME - around - missing, Headers::new());
        let refused = peer.done(request).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::PayloadTooLarge);
        assert!(refused.text.contains("expected at most"), "{refused}");
    }
    let refused = peer.done(sized(1, headers_of(MAX_HEADERS + 1))).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::PayloadTooLarge);

    peer.send("q", "neighbour").await;
    peer.consume(1, "q", 8).await;
    assert_eq!(peer.payloads(1).await, ["neighbour"]);
}

/// The largest message goes the whole way: it becomes a dead letter with the longest words, is shown, and goes back to work.
#[tokio::test(start_paused = true)]
async fn the_largest_message_survives_whatever_is_added_to_it() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    let largest = sized(DEFAULT_MAX_PAYLOAD, headers_of(MAX_HEADERS));
    peer.done(largest).await.unwrap();
    peer.consume(1, "q", 1).await;
    let mut received = peer.delivery().await;
    assert_eq!(received.payload.len(), DEFAULT_MAX_PAYLOAD);

    // Each time under new names, as only a peer of another kind would do it.
    for times in 0..4 {
        let words = (format!("words-{times}"), "w".repeat(MAX_HEADERS - 100));
        let reason = (header::DEAD_REASON.to_owned(), "failed".to_owned());
        let settlement = WireSettlement::DeadLetter {
            queue: "q".into(),
            headers: vec![reason, words],
        };
        peer.settle(&received, settlement).await.unwrap();
        received = peer.delivery().await;
        assert_eq!(received.payload.len(), DEFAULT_MAX_PAYLOAD);
        let names: Vec<_> = received
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(names.contains(&"h") && names.contains(&header::DEAD_REASON));
    }
    peer.settle(&received, WireSettlement::Return)
        .await
        .unwrap();
    assert_eq!(peer.delivery().await.payload.len(), DEFAULT_MAX_PAYLOAD);
}

/// A file of an earlier version holds a message that fits into no frame.
#[tokio::test(start_paused = true)]
async fn a_stored_message_that_cannot_be_delivered_stops_nobody() {
    let store = SharedStore::default();
    let insert = |id, payload: bytes::Bytes| Change::Insert {
        id,
        queue: "q".into(),
        body: Body {
            payload,
            ..Body::default()
        },
        due: None,
    };
    let too_large = bytes::Bytes::from(vec![0; MAX_HUB_FRAME]);
    let changes = [
        insert(1, "a".into()),
        insert(2, too_large.clone()),
        insert(3, "b".into()),
        insert(4, too_large),
        insert(5, "c".into()),
    ];
    store.store.lock().unwrap().commit(&changes).unwrap();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    let look = peer
        .ask(Request::Browse(Browse::Peek {
            queue: "q".into(),
            skip: 1,
            limit: 3,
        }))
        .await;
    // After two messages that cannot be shown, the next one is shown.
    match peer.next().await {
        HubFrame::Shown { message, .. } => assert_eq!(text_of(&message), "b"),
        other => panic!("unexpected: {other:?}"),
    }
    assert_eq!(peer.next().await, HubFrame::Done(look, Ok(())));

    peer.consume(1, "q", 2).await;
    for text in ["a", "b", "c"] {
        let received = peer.delivery().await;
        assert_eq!(received.payload, text);
        peer.settle(&received, WireSettlement::Ack).await.unwrap();
    }
    let kept: Vec<StoredMessage> = store.snapshot().messages;
    let kept: Vec<_> = kept.iter().map(|message| message.id).collect();
    assert_eq!(kept, [2, 4], "they are still stored");
}
