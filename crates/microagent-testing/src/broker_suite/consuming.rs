//! Delivery from `send` to a consumer: which messages, when, in which order, how many.

use std::time::{Duration, SystemTime};

use microagent_core::{ErrorKind, Message, Queue, QueueBroker, Route, SendOptions};

use super::{
    BrokerServer,
    fixture::{Consumer, Fixture, ack, bodies_of, body_of, new_queue, refused},
};

/// A message that was sent before any consumer started is kept, and delivered as the first attempt. It has the time at
/// which it was sent, or none.
pub async fn messages_sent_before_are_delivered<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.send(&queue, r#"{"n":1}"#).await;
    let delivery = there.consume(&queue, 1).await.receives(r#"{"n":1}"#).await;
    let message = delivery.message();
    assert_eq!(
        (message.queue(), message.attempt(), message.crashes()),
        (queue.name(), 1, 0)
    );
    assert!(was_sent_now(message), "{:?}", message.sent_at());
    ack(delivery).await;
}

/// Returns false if the message has a time that is not within a minute, by which the clock of a server may differ.
fn was_sent_now(message: &Message) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "drivers write the time of the machine into messages"
    )]
    let now = SystemTime::now();
    let minute = Duration::from_secs(60);
    let range = now - minute..=now + minute;
    message.sent_at().is_none_or(|at| range.contains(&at))
}

/// Nothing waits in a queue that does not exist. Sending to it creates it; or it is refused with the name of the queue,
/// until the queue is declared.
pub async fn an_undeclared_queue_is_made_or_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let route = Route::from(queue.clone());
    let send = async |body: &'static str| {
        let sending = here
            .driver
            .send(&route, body.into(), SendOptions::default());
        fixture.limit.wait("sending", sending).await
    };
    here.length_is(&queue, 0).await;
    let sent = send("undeclared").await;
    if here.driver.caps().creates {
        sent.expect("a message that is accepted");
        return ack(there.consume(&queue, 1).await.receives("undeclared").await).await;
    }
    refused(ErrorKind::Unroutable, queue.name(), sent);
    there.declare(&queue).await;
    send("declared").await.expect("a message that is accepted");
    let mut consumer = there.consume(&queue, 1).await;
    ack(consumer.receives("declared").await).await;
    consumer.is_quiet().await;
}

/// A waiting consumer gets a message when it is sent.
pub async fn a_waiting_consumer_is_woken<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let mut consumer = there.consume(&queue, 1).await;
    consumer.is_quiet().await;
    let (delivery, ()) = tokio::join!(consumer.next(), here.send(&queue, "{}"));
    ack(delivery).await;
    let (delivery, ()) = tokio::join!(consumer.next(), here.send(&queue, "{}"));
    ack(delivery).await;
}

/// One consumer gets messages in the order in which they were sent.
pub async fn one_consumer_gets_them_in_order<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    for n in 0..100 {
        here.send(&queue, n.to_string()).await;
    }
    let mut consumer = here.consume(&queue, 7).await;
    for n in 0..100 {
        ack(consumer.receives(&n.to_string()).await).await;
    }
}

/// One process has a message at a time: another process that consumes the same queue does not get it.
pub async fn a_message_is_with_one_consumer<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.send(&queue, "{}").await;
    let held = here.consume(&queue, 4).await.next().await;
    let mut other = there.consume(&queue, 4).await;
    other.is_quiet().await;
    ack(held).await;
    other.is_quiet().await;
}

/// A consumer with `prefetch` messages in flight leaves the others to another process; if
/// consumers share a queue by partitions, the others wait for it.
pub async fn a_full_consumer_leaves_the_rest_to_others<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let (mut one, mut other) = (
        here.consume(&queue, 1).await,
        there.consume(&queue, 1).await,
    );
    here.send(&queue, "1").await;
    here.send(&queue, "2").await;
    if here.driver.caps().partitioned {
        return one_after_the_other(one, other).await;
    }
    let deliveries = [one.next().await, other.next().await];
    assert_eq!(bodies_of(&deliveries), ["1", "2"]);
    for delivery in deliveries {
        ack(delivery).await;
    }
}

/// One of the consumers gets both messages, because it has the partition.
async fn one_after_the_other(mut one: Consumer, mut other: Consumer) {
    let (first, idle) = tokio::select! {
        first = one.next() => (first, &mut other),
        first = other.next() => (first, &mut one),
    };
    assert_eq!(body_of(first.message()), "1");
    idle.is_quiet().await;
    ack(first).await;
    idle.is_quiet().await;
}

/// At most `prefetch` deliveries of a consumer are unsettled.
pub async fn prefetch_is_the_most_that_is_unsettled<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    for n in 0..5 {
        here.send(&queue, n.to_string()).await;
    }
    let mut consumer = here.consume(&queue, 2).await;
    let mut held = consumer.take(2).await;
    consumer.is_quiet().await;
    here.length_counts(&queue, 3, 5).await;
    ack(held.remove(0)).await;
    held.push(consumer.receives("2").await);
    consumer.is_quiet().await;
    assert_eq!(bodies_of(&held), ["1", "2"]);
}

/// Messages stay in their queue, also if another queue has a similar name.
pub async fn queues_do_not_leak<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let longer = Queue::named(format!("{queue}_a")).expect("a name");
    here.send(&longer, "longer").await;
    here.send(&queue, "own").await;
    let mut consumer = here.consume(&queue, 4).await;
    ack(consumer.receives("own").await).await;
    consumer.is_quiet().await;
    ack(here.consume(&longer, 4).await.receives("longer").await).await;
}

/// A body is any sequence of bytes: empty, all 256 values, or text that is not JSON.
pub async fn a_payload_is_untouched<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut consumer = here.consume(&queue, 1).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads: [&[u8]; 5] = [b"", b"\xff\x00", &every_byte, b"no JSON", b" {\"a\": 1}\n"];
    for payload in payloads {
        here.send(&queue, payload.to_vec()).await;
        let delivery = consumer.next().await;
        assert_eq!(delivery.message().payload(), payload);
        ack(delivery).await;
    }
}

/// A mebibyte arrives whole.
pub async fn a_mebibyte_arrives_whole<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let size = here.driver.caps().max_payload.min(1 << 20);
    let body: Vec<u8> = (0u32..).take(size).map(|at| at.to_le_bytes()[0]).collect();
    here.send(&queue, body.clone()).await;
    let delivery = here.consume(&queue, 1).await.next().await;
    assert!(
        *delivery.message().payload() == body,
        "a mebibyte arrived with other bytes"
    );
    ack(delivery).await;
}

/// `length` counts waiting messages, or all that are unsettled, as the driver says.
pub async fn length_counts_what_waits<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.declare(&queue).await;
    there.length_is(&queue, 0).await;
    for n in 0..3 {
        here.send(&queue, n.to_string()).await;
    }
    there.length_is(&queue, 3).await;
    let mut consumer = here.consume(&queue, 1).await;
    let held = consumer.next().await;
    there.length_counts(&queue, 2, 3).await;
    drop(consumer);
    ack(held).await;
    there.length_is(&queue, 2).await;
}

/// Declaring a queue again, also from another process, does not change it.
pub async fn declaring_again_changes_nothing<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    here.declare(&queue).await;
    here.send(&queue, "kept").await;
    for connection in [&here, &there, &here] {
        connection.declare(&queue).await;
    }
    there.length_is(&queue, 1).await;
    let delivery = there.consume(&queue, 1).await.next().await;
    assert_eq!(body_of(delivery.message()), "kept");
    ack(delivery).await;
}
