//! A client that sends requests and never reads: the hub stops reading from it, serves the others, and
//! continues when it reads.

use super::*;
use crate::hub::outgoing::{MAX_DELIVERY_WINDOW, WINDOW};

/// Sends the same request until the hub stops reading, and returns how often it was sent.
async fn flood(peer: &mut Peer, frame: impl Fn(RequestId) -> ClientFrame) -> u64 {
    let mut sent = 0;
    loop {
        for _ in 0..512 {
            sent += 1;
            peer.writer.put(&frame(sent)).unwrap();
        }
        // In virtual time nothing else happens then.
        let written = timeout(Duration::from_secs(2), peer.writer.flush()).await;
        if written.is_err() {
            return sent;
        }
        written.unwrap().unwrap();
        assert!(sent < 4 * u64::from(WINDOW), "the hub reads for ever");
    }
}

/// Reads the answers, and writes the rest.
async fn answers(peer: &mut Peer, count: u64) {
    let (reader, writer) = (&mut peer.reader, &mut peer.writer);
    let read = async {
        let mut left = count;
        while left > 0 {
            match reader.next().await.unwrap().unwrap() {
                HubFrame::Shown { .. } => {}
                HubFrame::AllDone(first, last) => left -= last - first + 1,
                _ => left -= 1,
            }
        }
    };
    let (written, ()) = tokio::join!(writer.flush(), read);
    written.unwrap();
}

fn request(number: u64, id: RequestId) -> ClientFrame {
    let queue = "mailer".into();
    let request = match number {
        0 => return ClientFrame::Ping,
        1 => Request::Length { queue },
        2 => Request::Subscribe {
            sub: u32::try_from(id % 100).unwrap(),
            pattern: "a*".into(),
        },
        3 => Request::Flush,
        4 => send("mailer", "a", Some(60)),
        5 => Request::Settle {
            consumer: 1,
            message: 1,
            settlement: WireSettlement::Ack,
        },
        _ => Request::Browse(Browse::Peek {
            queue: "large".into(),
            skip: 0,
            limit: 9,
        }),
    };
    ClientFrame::Request(id, request)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_and_never_reads_is_read_no_more_until_it_reads() {
    let hub = hub().await;
    let mut other = Peer::join(&hub, 3).await;
    for _ in 0..4 {
        other.send("large", &"x".repeat(100_000)).await;
    }
    for number in 0..=6 {
        let mut flooding = Peer::join(&hub, OTHER).await;
        let sent = flood(&mut flooding, |id| request(number, id)).await;
        other.say(ClientFrame::Ping).await;
        assert_eq!(other.next().await, HubFrame::Pong);
        assert_eq!(other.length("large").await, 4, "the others are served");
        // More often than its window is large, so that what it took is free again.
        answers(&mut flooding, sent).await;
        let again = flood(&mut flooding, |id| request(number, sent + id)).await;
        let most = sent.max(512);
        assert!(
            again.abs_diff(most) <= 2048,
            "request {number}: {sent}, then {again}"
        );
        answers(&mut flooding, again).await;
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_read_from_the_store_as_their_consumer_reads_them() {
    const MEGABYTE: usize = 1024 * 1024;
    let store = SharedStore::default();
    let old = store.hub();
    let mut peer = Peer::join(&old, OTHER).await;
    let count = 4 * MAX_DELIVERY_WINDOW / MEGABYTE;
    for number in 0..count {
        let text = format!("{number:08}").repeat(MEGABYTE / 8);
        peer.send("mailer", &text).await;
    }
    old.close().await.unwrap();

    let hub = store.hub();
    let (mut slow, mut other) = (Peer::join(&hub, OTHER).await, Peer::join(&hub, 3).await);
    for (consumer, prefetch) in [(1, 50), (2, 1000)] {
        let queue = "mailer".into();
        let consume = Request::Consume {
            consumer,
            queue,
            prefetch,
        };
        slow.ask(consume).await;
    }
    other.hears_nothing_for(2).await;
    assert_eq!(other.length("mailer").await, 0, "all are handed out");
    let read = store.read.load(Ordering::Relaxed);
    // One is being written, and one may be larger than the room that is left.
    assert!(
        read <= MAX_DELIVERY_WINDOW / MEGABYTE + 2,
        "{read} were read"
    );

    let mut numbers = [Vec::new(), Vec::new()];
    while numbers.iter().map(Vec::len).sum::<usize>() < count {
        match slow.next().await {
            HubFrame::Done(_, result) => result.unwrap(),
            HubFrame::Delivery { consumer, message } => {
                let number = text_of(&message)[..8].parse::<usize>().unwrap();
                numbers[consumer as usize - 1].push(number);
                let settle = Request::Settle {
                    consumer,
                    message: message.id,
                    settlement: WireSettlement::Ack,
                };
                slow.ask(settle).await;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    slow.done(Request::Flush).await.unwrap();
    assert!(numbers.iter().all(|numbers| numbers.is_sorted()));
    assert!(store.snapshot().messages.is_empty());
}

/// Cancelled and returned messages leave their room to the others.
#[tokio::test(start_paused = true)]
async fn room_of_messages_that_are_not_delivered_is_free_again() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    let megabyte = "x".repeat(1024 * 1024);
    for _ in 0..80 {
        peer.send("one", &megabyte).await;
    }
    // More than the cache holds, and read again for each consumer.
    for consumer in 1..20 {
        let consume = Request::Consume {
            consumer,
            queue: "one".into(),
            prefetch: 80,
        };
        peer.done(consume).await.unwrap();
        peer.done(cancel(consumer, true)).await.unwrap();
        peer.kept.clear();
    }
    peer.consume(20, "one", 80).await;
    for _ in 0..80 {
        assert_eq!(peer.delivery().await.payload.len(), megabyte.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_bounded_subscriptions_and_consumers() {
    let hub = hub().await;
    let mut peer = Peer::join(&hub, OTHER).await;
    let mut refused = None;
    for sub in 0..2000 {
        let pattern = format!("{sub:060000}*").into();
        refused = peer.done(Request::Subscribe { sub, pattern }).await.err();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("an end of what it may subscribe");
    assert_eq!(refused.kind, ErrorKind::Refused);
    peer.done(Request::Unsubscribe { sub: 0 }).await.unwrap();
    let pattern = "b".into();
    let again = Request::Subscribe { sub: 0, pattern };
    peer.done(again).await.unwrap();

    for consumer in 0..1000 {
        peer.consume(consumer, &format!("q{consumer}"), 1).await;
    }
    let consume = |consumer| Request::Consume {
        consumer,
        queue: "q".into(),
        prefetch: 1,
    };
    let refused = peer.done(consume(1000)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    peer.done(cancel(0, true)).await.unwrap();
    peer.done(consume(1000)).await.unwrap();
}
