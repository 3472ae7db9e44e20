//! What waits can be looked at, moved and removed by hand; without the capability each of them is refused, and it can only be
//! consumed.

use microagent_core::{DeadReason, Message, Queue, QueueBroker, Settlement, header};

use super::{
    BrokerServer,
    post::{Office, Post, body_of, new_queue, unsupported},
};

/// Looking shows what waits, in its order and within the limit, and takes nothing; or it is refused.
pub async fn peeking_takes_nothing<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (office, queue) = (post.connect().await, new_queue());
    if !office.driver.caps().browse {
        return is_not_shown(&office, &queue).await;
    }
    assert!(peek(&office, &queue, 8).await.is_empty());
    for body in ["a", "b", "c"] {
        office.send(&queue, body).await;
    }
    let mut consumer = office.consume(&queue, 1).await;
    let in_flight = consumer.takes("a").await;

    let seen = peek(&office, &queue, 8).await;
    assert_eq!(bodies(&seen), ["b", "c"], "what is in flight is not shown");
    assert_eq!(seen[0].queue(), queue.name());
    assert_eq!(bodies(&peek(&office, &queue, 1).await), ["b"]);
    office.length_is(&queue, 2).await;

    in_flight.ack().await.expect("an ack");
    consumer.takes("b").await.ack().await.expect("an ack");
    consumer.takes("c").await.ack().await.expect("an ack");
}

/// A dead letter tells its reason, also where the driver has no headers; or it cannot be looked at.
pub async fn a_dead_letter_can_be_read<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (office, queue, dead) = (post.connect().await, new_queue(), new_queue());
    if !office.driver.caps().browse {
        bury(&office, &queue, &dead, "a").await;
        return is_not_shown(&office, &dead).await;
    }
    bury(&office, &queue, &dead, "a").await;

    let seen = peek(&office, &dead, 8).await;
    assert_eq!(bodies(&seen), ["a"]);
    let told = |name| seen[0].header(name).map(str::to_owned);
    assert_eq!(told(header::DEAD_REASON).as_deref(), Some("failed"));
    assert_eq!(told(header::DEAD_DETAIL).as_deref(), Some("smtp said no"));
    assert_eq!(told(header::DEAD_QUEUE).as_deref(), Some(queue.name()));
    assert_eq!(told(header::DEAD_ATTEMPTS).as_deref(), Some("1"));
}

/// Requeued, a dead letter is a new message of the other queue: its body, a first attempt, no reason any more. Or it
/// cannot be requeued.
pub async fn a_requeued_dead_letter_is_a_new_message<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (office, queue, dead) = (post.connect().await, new_queue(), new_queue());
    if !office.driver.caps().browse {
        let moved = office.driver.requeue(&dead, &queue, 1).await;
        return unsupported(dead.name(), moved);
    }
    bury(&office, &queue, &dead, "a").await;
    bury(&office, &queue, &dead, "b").await;

    assert_eq!(requeue(&office, &dead, &queue, 1).await, 1);
    assert_eq!(bodies(&peek(&office, &dead, 8).await), ["b"]);
    let mut consumer = office.consume(&queue, 8).await;
    let again = consumer.takes("a").await;
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

    assert_eq!(requeue(&office, &dead, &queue, u64::MAX).await, 1);
    assert_eq!(requeue(&office, &dead, &queue, u64::MAX).await, 0);
    consumer.takes("b").await.ack().await.expect("an ack");
    office.is_empty(&dead).await;
}

/// Purging removes what waits, says how much, and leaves what is in flight; or it is refused and removes nothing.
pub async fn purging_removes_what_waits<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (office, queue, other) = (post.connect().await, new_queue(), new_queue());
    if !office.driver.caps().browse {
        return is_not_purged(&office, &queue).await;
    }
    for body in ["a", "b", "c"] {
        office.send(&queue, body).await;
    }
    office.send(&other, "kept").await;
    let mut consumer = office.consume(&queue, 1).await;
    let in_flight = consumer.takes("a").await;

    assert_eq!(office.driver.purge(&queue).await.expect("a purge"), 2);
    assert_eq!(office.driver.purge(&queue).await.expect("a purge"), 0);
    office.length_is(&queue, 0).await;
    office.length_is(&other, 1).await;
    drop(in_flight);
    consumer.takes("a").await.ack().await.expect("an ack");
    consumer.is_quiet().await;
}

/// Without the capability looking is refused, with the queue's name.
async fn is_not_shown<B: QueueBroker>(office: &Office<B>, queue: &Queue) {
    unsupported(queue.name(), office.driver.peek(queue, 1).await);
}

/// Without the capability purging is refused, with the queue's name, and what waits stays.
async fn is_not_purged<B: QueueBroker>(office: &Office<B>, queue: &Queue) {
    office.send(queue, "kept").await;
    unsupported(queue.name(), office.driver.purge(queue).await);
    office
        .consume(queue, 1)
        .await
        .takes("kept")
        .await
        .ack()
        .await
        .expect("an ack");
}

async fn peek<B: QueueBroker>(office: &Office<B>, queue: &Queue, limit: usize) -> Vec<Message> {
    office.driver.peek(queue, limit).await.expect("a look")
}

async fn requeue<B: QueueBroker>(office: &Office<B>, from: &Queue, to: &Queue, limit: u64) -> u64 {
    let moved = office.driver.requeue(from, to, limit).await;
    moved.expect("a requeueing")
}

/// Makes a dead letter of a message.
async fn bury<B: QueueBroker>(office: &Office<B>, queue: &Queue, dead: &Queue, body: &str) {
    office.send(queue, body.to_owned()).await;
    let delivery = office.consume(queue, 1).await.takes(body).await;
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
