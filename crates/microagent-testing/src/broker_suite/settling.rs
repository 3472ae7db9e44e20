//! Settlements: the effect of each on its message, and on the messages beside it.

use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use microagent_core::{DeadReason, Message, Queue, QueueBroker, SendOptions, Settlement, header};
use tokio::time::Instant;

use super::{
    BrokerServer,
    fixture::{Fixture, ack, bodies_of, body_of, new_queue, retry, settle},
};

const SHORTLY: Duration = Duration::from_millis(80);

/// An acknowledged message is gone from the queue, and does not return when its connection ends.
pub async fn acked_is_gone<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.send(&queue, "1").await;
    ack(here.consume(&queue, 1).await.receives("1").await).await;
    here.close().await;
    there.length_is(&queue, 0).await;
    there.send(&queue, "2").await;
    ack(there.consume(&queue, 1).await.receives("2").await).await;
    there.is_empty(&queue).await;
}

/// Deliveries may be settled in any order.
pub async fn settled_in_any_order<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for n in 0..6 {
        here.send(&queue, n.to_string()).await;
    }
    let mut held = here.consume(&queue, 6).await.take(6).await;
    for at in [5, 1, 3] {
        ack(held.remove(at)).await;
    }
    assert_eq!(bodies_of(&held), ["0", "2", "3"]);
    for delivery in held {
        settle(delivery, Settlement::Return).await;
    }
    assert_eq!(
        bodies_of(&there.consume(&queue, 6).await.take(3).await),
        ["0", "2", "3"]
    );
}

/// A returned message goes to the head of its queue, and no attempt is counted.
pub async fn returned_comes_next_as_the_same_attempt<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    here.send(&queue, "1").await;
    here.send(&queue, "2").await;
    let mut consumer = here.consume(&queue, 1).await;
    settle(consumer.receives("1").await, Settlement::Return).await;
    let again = consumer.receives("1").await;
    assert_eq!(
        (again.message().attempt(), again.message().crashes()),
        (1, 0)
    );
    ack(again).await;
    ack(consumer.receives("2").await).await;
}

/// A delivery that is dropped unsettled is returned.
pub async fn dropped_is_returned<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    here.send(&queue, "1").await;
    let mut consumer = here.consume(&queue, 1).await;
    drop(consumer.receives("1").await);
    let again = consumer.receives("1").await;
    assert_eq!(
        (again.message().attempt(), again.message().crashes()),
        (1, 0)
    );
    ack(again).await;
}

/// A retried message is delivered again after its delay, as the next attempt, with its body and headers.
pub async fn a_retry_waits_and_counts<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = SendOptions::default();
    if here.driver.caps().headers {
        options.headers = vec![("trace".to_owned(), "t1".to_owned())];
    }
    let headers = options.headers.clone();
    here.send_with(&queue, r#"{"n":1}"#, options).await;
    let mut consumer = here.consume(&queue, 1).await;
    for attempt in 1..=4 {
        let delivery = consumer.receives(r#"{"n":1}"#).await;
        assert_eq!(delivery.message().attempt(), attempt);
        for (name, value) in &headers {
            assert_eq!(delivery.message().header(name), Some(value.as_str()));
        }
        let began = Instant::now();
        retry(delivery, SHORTLY).await;
        let again = consumer.next().await;
        assert!(
            waited(began, SHORTLY),
            "it came after {:?}",
            began.elapsed()
        );
        settle(again, Settlement::Return).await;
    }
}

/// Returns true if this much time has passed, except for the rounding of a server's clock.
fn waited(since: Instant, time: Duration) -> bool {
    since.elapsed() + Duration::from_millis(2) >= time
}

/// A retry without a delay is delivered at once.
pub async fn a_retry_without_delay_comes_at_once<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    here.send(&queue, "1").await;
    let mut consumer = here.consume(&queue, 1).await;
    retry(consumer.next().await, Duration::ZERO).await;
    let again = consumer.receives("1").await;
    assert_eq!(again.message().attempt(), 2);
    ack(again).await;
    here.is_empty(&queue).await;
}

/// A message that waits for its retry does not delay other messages, is not counted as waiting, and does not use the prefetch of its
/// consumer.
pub async fn a_waiting_retry_is_in_nobody_s_way<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    here.send(&queue, "failing").await;
    here.send(&queue, "next").await;
    let mut consumer = here.consume(&queue, 1).await;
    retry(consumer.receives("failing").await, Duration::from_secs(1)).await;
    let next = consumer.receives("next").await;
    here.length_counts(&queue, 0, 2).await;
    ack(next).await;
    let again = consumer.receives("failing").await;
    assert_eq!(again.message().attempt(), 2);
    ack(again).await;
}

/// A retry outlives the connection that asked for it.
pub async fn a_retry_outlives_its_connection<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    there.send(&queue, "1").await;
    retry(here.consume(&queue, 1).await.receives("1").await, SHORTLY).await;
    here.close().await;
    let again = there.consume(&queue, 1).await.receives("1").await;
    assert_eq!(
        (again.message().attempt(), again.message().crashes()),
        (2, 0)
    );
    ack(again).await;
}

/// A dead letter is in its queue with the same body and, if the driver has headers, with its own headers, the reason and the times.
/// It is no longer in the queue that it was in.
pub async fn a_dead_letter_arrives_with_its_reason<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = SendOptions::default();
    if here.driver.caps().headers {
        options.headers = vec![("trace".to_owned(), "t1".to_owned())];
    }
    here.send_with(&queue, "\u{1F4EE} no JSON", options).await;
    let mut consumer = here.consume(&queue, 1).await;
    let sent = now();
    retry(consumer.next().await, SHORTLY).await;
    let failed = sent..=now();
    let again = consumer.next().await;
    let came_again = now();
    settle(again, dead_lettered(&queue.dead_letter())).await;
    let died = came_again..=now();

    let dead = Queue::named(queue.dead_letter()).expect("the name of a dead-letter queue");
    here.length_is(&dead, 1).await;
    let letter = here
        .consume(&dead, 1)
        .await
        .receives("\u{1F4EE} no JSON")
        .await;
    assert_eq!(
        (letter.message().queue(), letter.message().attempt()),
        (dead.name(), 1)
    );
    if here.driver.caps().headers {
        has_its_reason(letter.message(), &queue);
        has_its_times::<S>(letter.message(), &failed, &died);
    }
    ack(letter).await;
    drop(consumer);
    here.is_empty(&queue).await;
}

fn has_its_reason(letter: &Message, queue: &Queue) {
    let expected = [
        ("trace", "t1"),
        (header::DEAD_REASON, "failed"),
        (header::DEAD_DETAIL, "smtp said \"no\""),
        (header::DEAD_QUEUE, queue.name()),
        (header::DEAD_ATTEMPTS, "2"),
    ];
    for (name, value) in expected {
        assert_eq!(letter.header(name), Some(value), "the header {name}");
    }
}

/// Asserts both times: that of the first failure, which is before the pause of its retry, and that of the dead-lettering, which is
/// after it. A driver that does not keep the first time over a retry leaves it out instead of reporting another.
fn has_its_times<S: BrokerServer>(
    letter: &Message,
    failed: &RangeInclusive<u128>,
    died: &RangeInclusive<u128>,
) {
    let at = |name| {
        letter
            .header(name)
            .map(|at| at.parse::<u128>().expect("a time"))
    };
    let (first, last) = (at(header::DEAD_FIRST_AT), at(header::DEAD_AT));
    let died_then = last.is_some_and(|last| died.contains(&last));
    assert!(died_then, "the death at {last:?} was in {died:?}");
    assert_eq!(first.is_some(), S::KEEPS_FIRST_FAILURE, "{first:?}");
    let failed_then = first.is_none_or(|first| failed.contains(&first));
    assert!(failed_then, "the failure at {first:?} was in {failed:?}");
}

/// Returns the time in milliseconds since the Unix epoch, as in the headers: of the machine's clock, also while tokio's is paused.
fn now() -> u128 {
    #[expect(
        clippy::disallowed_methods,
        reason = "drivers write the time of the machine into headers"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_millis()
}

fn dead_lettered(queue: &str) -> Settlement {
    Settlement::DeadLetter {
        queue: queue.to_owned(),
        reason: DeadReason::Failed,
        detail: "smtp said \"no\"".to_owned(),
    }
}

/// The queue for dead letters can be any queue, also one that is consumed.
pub async fn dead_letters_go_to_the_chosen_queue<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue, other) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
        new_queue(),
    );
    let mut undertaker = there.consume(&other, 4).await;
    here.send(&queue, "1").await;
    settle(
        here.consume(&queue, 1).await.next().await,
        dead_lettered(other.name()),
    )
    .await;
    ack(undertaker.receives("1").await).await;
}

/// When a stream is dropped, messages that it had fetched and not yielded return uncounted; the deliveries that it
/// had yielded stay with their holder. A partition goes
/// to its next consumer after those are settled.
pub async fn dropping_the_stream_returns_the_rest<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for n in 0..5 {
        here.send(&queue, n.to_string()).await;
    }
    let mut consumer = here.consume(&queue, 5).await;
    let held = consumer.receives("0").await;
    drop(consumer);
    let mut successor = there.consume(&queue, 5).await;
    // A partition goes to its next consumer when what was taken out of it is settled.
    let mut held = Some(held);
    if here.driver.caps().partitioned {
        ack(held.take().expect("the first delivery")).await;
    }
    let rest = successor.take(4).await;
    assert_eq!(bodies_of(&rest), ["1", "2", "3", "4"]);
    for delivery in &rest {
        let message = delivery.message();
        assert_eq!(
            (message.attempt(), message.crashes()),
            (1, 0),
            "{}",
            body_of(message)
        );
    }
    successor.is_quiet().await;
    if let Some(held) = held {
        ack(held).await;
    }
    for delivery in rest {
        ack(delivery).await;
    }
}

/// A delivery can be settled, in each way, after its stream was dropped.
pub async fn settling_outlives_the_stream<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for n in 0..3 {
        here.send(&queue, n.to_string()).await;
    }
    let mut held = here.consume(&queue, 3).await.take(3).await;
    ack(held.remove(0)).await;
    retry(held.remove(0), Duration::ZERO).await;
    settle(held.remove(0), Settlement::Return).await;
    let left = there.consume(&queue, 3).await.take(2).await;
    assert_eq!(bodies_of(&left), ["1", "2"]);
    for delivery in left {
        let attempt = if body_of(delivery.message()) == "1" {
            2
        } else {
            1
        };
        assert_eq!(delivery.message().attempt(), attempt);
        ack(delivery).await;
    }
}
