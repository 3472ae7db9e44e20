//! Browsing: looking at waiting messages, moving and removing them. Without the capability the driver rejects each request, and
//! messages can only be consumed.

use std::time::Duration;

use microagent_core::{
    DeadReason, Depth, ErrorKind, LengthCounts, Message, Queue, QueueBroker, Selection, Settlement,
    header,
};

use super::{
    BrokerServer,
    fixture::{Connection, Fixture, body_of, new_queue, refused, retry, unsupported},
};
use crate::suite::eventually;

/// `peek` returns waiting messages in their order and within the limit, and removes none; or the driver rejects it.
pub async fn peeking_takes_nothing<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue) = (fixture.connect().await, new_queue());
    if !connection.driver.caps().peek {
        return is_not_shown(&connection, &queue).await;
    }
    assert!(peek(&connection, &queue, 8).await.is_empty());
    for body in ["a", "b", "c"] {
        connection.send(&queue, body).await;
    }
    let mut consumer = connection.consume(&queue, 1).await;
    let in_flight = consumer.receives("a").await;

    let seen = peek(&connection, &queue, 8).await;
    assert_eq!(bodies(&seen), ["b", "c"], "what is in flight is not shown");
    assert_eq!(seen[0].queue(), queue.name());
    assert_eq!(bodies(&peek(&connection, &queue, 1).await), ["b"]);
    connection.length_counts(&queue, 2, 3).await;

    in_flight.ack().await.expect("an ack");
    consumer.receives("b").await.ack().await.expect("an ack");
    consumer.receives("c").await.ack().await.expect("an ack");
}

/// A dead letter has its reason, also if the driver has no headers; or the driver rejects `peek`.
pub async fn a_dead_letter_can_be_read<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue, dead) = (fixture.connect().await, new_queue(), new_queue());
    if !connection.driver.caps().peek {
        dead_letter(&connection, &queue, &dead, "a").await;
        return is_not_shown(&connection, &dead).await;
    }
    dead_letter(&connection, &queue, &dead, "a").await;

    let seen = peek(&connection, &dead, 8).await;
    assert_eq!(bodies(&seen), ["a"]);
    let value = |name| seen[0].header(name).map(str::to_owned);
    assert_eq!(value(header::DEAD_REASON).as_deref(), Some("failed"));
    assert_eq!(value(header::DEAD_DETAIL).as_deref(), Some("smtp said no"));
    assert_eq!(value(header::DEAD_QUEUE).as_deref(), Some(queue.name()));
    assert_eq!(value(header::DEAD_ATTEMPTS).as_deref(), Some("1"));
}

/// A requeued dead letter is a new message of the other queue: with its body, at the first attempt, without a reason. Or the
/// driver rejects `requeue`.
pub async fn a_requeued_dead_letter_is_a_new_message<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue, dead) = (fixture.connect().await, new_queue(), new_queue());
    if !connection.driver.caps().requeue {
        let moved = connection
            .driver
            .requeue(&dead, &queue, &Selection::All)
            .await;
        return unsupported(dead.name(), moved);
    }
    dead_letter(&connection, &queue, &dead, "a").await;
    dead_letter(&connection, &queue, &dead, "b").await;

    assert_eq!(
        requeue(&connection, &dead, &queue, &Selection::First(1)).await,
        1
    );
    connection.length_is(&dead, 1).await;
    if connection.driver.caps().peek {
        assert_eq!(bodies(&peek(&connection, &dead, 8).await), ["b"]);
    }
    let mut consumer = connection.consume(&queue, 8).await;
    let again = consumer.receives("a").await;
    assert_eq!(
        (again.message().attempt(), again.message().crashes()),
        (1, 0)
    );
    let dead_headers = again.message().headers();
    let left: Vec<_> = dead_headers
        .filter(|(name, _)| header::is_of_dead_letter(name))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    again.ack().await.expect("an ack");

    assert_eq!(
        requeue(&connection, &dead, &queue, &Selection::All).await,
        1
    );
    assert_eq!(
        requeue(&connection, &dead, &queue, &Selection::All).await,
        0
    );
    consumer.receives("b").await.ack().await.expect("an ack");
    connection.is_empty(&dead).await;
}

/// `purge` removes the waiting messages, returns how many, and leaves those in flight; or the driver rejects it and removes none,
/// always or while the queue has a consumer.
pub async fn purging_removes_what_waits<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue, other) = (fixture.connect().await, new_queue(), new_queue());
    if !connection.driver.caps().purge {
        return is_not_purged(&connection, &queue).await;
    }
    if connection.driver.caps().changes_idle_only {
        return only_an_idle_queue_is_purged(&fixture, &connection).await;
    }
    for body in ["a", "b", "c"] {
        connection.send(&queue, body).await;
    }
    connection.send(&other, "kept").await;
    let mut consumer = connection.consume(&queue, 1).await;
    let in_flight = consumer.receives("a").await;

    assert_eq!(purge(&connection, &queue, &Selection::First(1)).await, 1);
    connection.length_counts(&queue, 1, 2).await;
    assert_eq!(purge(&connection, &queue, &Selection::All).await, 1);
    assert_eq!(purge(&connection, &queue, &Selection::All).await, 0);
    connection.length_counts(&queue, 0, 1).await;
    connection.length_is(&other, 1).await;
    drop(in_flight);
    consumer.receives("a").await.ack().await.expect("an ack");
    consumer.is_quiet().await;
}

/// The first messages, or one message by its id, are moved and removed; the others stay. Or the driver rejects a
/// selection by id and changes nothing.
pub async fn messages_are_moved_and_removed_by_choice<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue, other) = (fixture.connect().await, new_queue(), new_queue());
    let caps = connection.driver.caps();
    for body in ["a", "b", "c", "d", "e"] {
        connection.send(&queue, body).await;
    }
    if !caps.select_by_id {
        let id = Selection::Id("1".to_owned());
        unsupported("1", connection.driver.requeue(&queue, &other, &id).await);
        unsupported("1", connection.driver.purge(&queue, &id).await);
        return connection.length_is(&queue, 5).await;
    }
    let seen = peek(&connection, &queue, 8).await;
    let id = |index: usize| {
        let id = seen[index]
            .id()
            .expect("an id of each message that is shown");
        Selection::Id(id.to_owned())
    };

    assert_eq!(requeue(&connection, &queue, &other, &id(2)).await, 1);
    assert_eq!(
        requeue(&connection, &queue, &other, &id(2)).await,
        0,
        "it is gone"
    );
    assert_eq!(bodies(&peek(&connection, &other, 8).await), ["c"]);
    assert_eq!(
        bodies(&peek(&connection, &queue, 8).await),
        ["a", "b", "d", "e"]
    );

    let again = peek(&connection, &queue, 8).await;
    let b = Selection::Id(again[1].id().expect("an id").to_owned());
    assert_eq!(purge(&connection, &queue, &b).await, 1);
    assert_eq!(purge(&connection, &queue, &b).await, 0, "it is gone");
    assert_eq!(purge(&connection, &queue, &Selection::First(1)).await, 1);
    assert_eq!(bodies(&peek(&connection, &queue, 8).await), ["d", "e"]);
    assert_eq!(purge(&connection, &queue, &Selection::First(0)).await, 0);
    connection.length_is(&queue, 2).await;
}

/// `depth` counts waiting messages, those in flight and those that wait for a retry; or only the waiting ones; or none, if
/// the driver's length does not count the waiting ones.
pub async fn depth_counts_by_state_or_what_waits_only<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (connection, queue) = (fixture.connect().await, new_queue());
    for body in ["a", "b", "c", "d"] {
        connection.send(&queue, body).await;
    }
    let mut consumer = connection.consume(&queue, 2).await;
    let (retried, in_flight) = (consumer.receives("a").await, consumer.receives("b").await);
    connection.length_counts(&queue, 2, 4).await;
    let counts = |depth: Depth| (depth.waiting, depth.in_flight, depth.delayed);
    let depth = || async { counts(connection.driver.depth(&queue).await.expect("a depth")) };
    if !connection.driver.caps().depth {
        let waits = connection.driver.caps().length == LengthCounts::Waiting;
        return assert_eq!(depth().await, (waits.then_some(2), None, None));
    }
    assert_eq!(depth().await, (Some(2), Some(2), Some(0)));

    let (other, long) = (fixture.connect().await, Duration::from_secs(3600));
    drop(consumer);
    retry(retried, long).await;
    let depth = || async { counts(other.driver.depth(&queue).await.expect("a depth")) };
    let expected = (Some(2), Some(1), Some(1));
    eventually(
        fixture.limit,
        "the depth seen by another process",
        expected,
        depth,
    )
    .await;
    in_flight.ack().await.expect("an ack");
    assert_eq!(depth().await, (Some(2), Some(0), Some(1)));
}

/// `release` puts a message that waits for its retry into the queue as a new message, and is rejected while the queue is
/// consumed; or the driver rejects it always.
pub async fn released_messages_wait_as_new_or_it_is_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.send(&queue, "a").await;
    let mut consumer = here.consume(&queue, 1).await;
    retry(consumer.receives("a").await, Duration::from_secs(3600)).await;
    if !there.driver.caps().release {
        return unsupported(queue.name(), there.driver.release(&queue).await);
    }
    let consumed = there.driver.release(&queue).await;
    refused(ErrorKind::Refused, queue.name(), consumed);
    there.length_counts(&queue, 0, 1).await;

    here.close().await;
    let release = || async { there.driver.release(&queue).await.ok() };
    eventually(fixture.limit, "a release", Some(1), release).await;
    there.length_is(&queue, 1).await;
    let again = there.consume(&queue, 1).await.receives("a").await;
    assert_eq!(again.message().attempt(), 1);
    again.ack().await.expect("an ack");
}

/// Asserts that the driver rejects `peek`, with the queue's name.
async fn is_not_shown<B: QueueBroker>(connection: &Connection<B>, queue: &Queue) {
    unsupported(queue.name(), connection.driver.peek(queue, 1).await);
}

/// Asserts that the driver rejects `purge`, with the queue's name, and keeps the waiting messages.
async fn is_not_purged<B: QueueBroker>(connection: &Connection<B>, queue: &Queue) {
    connection.send(queue, "kept").await;
    let purged = connection.driver.purge(queue, &Selection::All).await;
    unsupported(queue.name(), purged);
    connection
        .consume(queue, 1)
        .await
        .receives("kept")
        .await
        .ack()
        .await
        .expect("an ack");
}

/// Asserts that waiting messages are removed when the queue has no consumer, and not before.
async fn only_an_idle_queue_is_purged<S: BrokerServer>(
    fixture: &Fixture<S>,
    there: &Connection<S::Broker>,
) {
    let (here, queue, other) = (fixture.connect().await, new_queue(), new_queue());
    for body in ["a", "b", "c"] {
        here.send(&queue, body).await;
    }
    here.send(&other, "kept").await;
    let mut consumer = here.consume(&queue, 1).await;
    let in_flight = consumer.receives("a").await;
    let purged = there.driver.purge(&queue, &Selection::All).await;
    refused(ErrorKind::Refused, queue.name(), purged);
    let moved = there.driver.requeue(&queue, &other, &Selection::All).await;
    refused(ErrorKind::Refused, queue.name(), moved);

    drop(in_flight);
    here.close().await;
    let first = || async {
        let purged = there.driver.purge(&queue, &Selection::First(1)).await;
        purged.ok()
    };
    eventually(fixture.limit, "a purge", Some(1), first).await;
    assert_eq!(purge(there, &queue, &Selection::All).await, 2);
    assert_eq!(purge(there, &queue, &Selection::All).await, 0);
    there.length_is(&queue, 0).await;
    there.length_is(&other, 1).await;
    there.send(&queue, "d").await;
    let mut consumer = there.consume(&queue, 8).await;
    consumer.receives("d").await.ack().await.expect("an ack");
    consumer.is_quiet().await;
}

async fn peek<B: QueueBroker>(
    connection: &Connection<B>,
    queue: &Queue,
    limit: usize,
) -> Vec<Message> {
    connection.driver.peek(queue, limit).await.expect("a look")
}

async fn requeue<B: QueueBroker>(
    connection: &Connection<B>,
    from: &Queue,
    to: &Queue,
    which: &Selection,
) -> u64 {
    let moved = connection.driver.requeue(from, to, which).await;
    moved.expect("a requeueing")
}

async fn purge<B: QueueBroker>(
    connection: &Connection<B>,
    queue: &Queue,
    which: &Selection,
) -> u64 {
    let removed = connection.driver.purge(queue, which).await;
    removed.expect("a purge")
}

/// Makes a dead letter of a message.
async fn dead_letter<B: QueueBroker>(
    connection: &Connection<B>,
    queue: &Queue,
    dead: &Queue,
    body: &str,
) {
    connection.send(queue, body.to_owned()).await;
    let delivery = connection.consume(queue, 1).await.receives(body).await;
    let settlement = Settlement::DeadLetter {
        queue: dead.name().to_owned(),
        reason: DeadReason::Failed,
        detail: "smtp said no".to_owned(),
    };
    delivery.settle(settlement).await.expect("a dead letter");
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(body_of).collect()
}
