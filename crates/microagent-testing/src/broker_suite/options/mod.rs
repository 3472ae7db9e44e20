//! Send options: the driver supports those of its [`Caps`](microagent_core::Caps), and rejects the others with an error.

mod exchanges;

use std::time::Duration;

use futures_util::future::join;
use microagent_core::{
    ConsumeOptions, DeadReason, DeclareOptions, ErrorKind, Queue, QueueBroker, SendOptions,
    Settlement,
};
use tokio::time::Instant;

pub use self::exchanges::{
    exchanges_send_to_all_their_queues_or_are_refused, topics_choose_the_queue_or_are_refused,
};
use super::{
    BrokerServer,
    fixture::{Fixture, ack, body_of, new_queue, refused, retry, settle, unsupported},
};
use crate::suite::unique;

const SHORTLY: Duration = Duration::from_millis(150);

/// A delayed message is delivered after its delay, later messages pass it, and it does not count as waiting; or the driver rejects a
/// delay.
pub async fn a_delay_is_kept_or_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = SendOptions::default();
    options.delay = Some(SHORTLY);
    if !here.driver.caps().delay {
        return here.refuses(queue.into(), options).await;
    }
    let mut consumer = here.consume(&queue, 1).await;
    let began = Instant::now();
    here.send_with(&queue, "later", options).await;
    here.send(&queue, "now").await;
    ack(consumer.receives("now").await).await;
    here.length_counts(&queue, 0, 1).await;
    let later = consumer.receives("later").await;
    let rounding = Duration::from_millis(2);
    assert!(
        began.elapsed() + rounding >= SHORTLY,
        "it came after {:?}",
        began.elapsed()
    );
    assert_eq!(later.message().attempt(), 1);
    ack(later).await;
}

/// A delayed message reaches a consumer that was waiting before it was sent; an unlimited delay is accepted or rejected like any
/// other.
pub async fn a_delayed_message_reaches_who_waits_already<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let delayed = |delay| {
        let mut options = SendOptions::default();
        options.delay = Some(delay);
        options
    };
    if !here.driver.caps().delay {
        return here.refuses(queue.into(), delayed(Duration::MAX)).await;
    }
    let mut consumer = here.consume(&queue, 1).await;
    let sending = async {
        here.send_with(&queue, "never", delayed(Duration::MAX))
            .await;
        here.send_with(&queue, "later", delayed(SHORTLY)).await;
    };
    // The first future is polled first: it waits when the others are sent.
    let (later, ()) = join(consumer.receives("later"), sending).await;
    ack(later).await;
    here.length_counts(&queue, 0, 1).await;
}

/// A message has the id with which it was sent, over retries and as a dead letter, too; without the capability an id is
/// refused.
pub async fn ids_travel_or_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue, dead) = (fixture.connect().await, new_queue(), new_queue());
    let id = unique("order 7/");
    let mut options = SendOptions::default();
    options.id = Some(id.clone());
    if !here.driver.caps().ids {
        return here.refuses(queue.into(), options).await;
    }
    here.send_with(&queue, "{}", options).await;
    let mut consumer = here.consume(&queue, 1).await;
    let delivery = consumer.receives("{}").await;
    assert_eq!(delivery.message().id(), Some(&*id));
    retry(delivery, Duration::ZERO).await;
    let again = consumer.receives("{}").await;
    assert_eq!(again.message().id(), Some(&*id));
    let settlement = Settlement::DeadLetter {
        queue: dead.name().to_owned(),
        reason: DeadReason::Failed,
        detail: "smtp said no".to_owned(),
    };
    settle(again, settlement).await;
    let letter = here.consume(&dead, 1).await.receives("{}").await;
    assert_eq!(letter.message().id(), Some(&*id));
    ack(letter).await;
}

/// Headers arrive with the body, whatever their text; or the driver rejects them.
pub async fn headers_travel_or_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let pairs = [
        ("traceparent", "00-4bf9-00f0-01"),
        ("x-note", "a: \"b\"\u{1F4EE}"),
        ("empty", ""),
    ];
    let mut options = SendOptions::default();
    options.headers = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    if !here.driver.caps().headers {
        return here.refuses(queue.into(), options).await;
    }
    here.send_with(&queue, "{}", options).await;
    let delivery = here.consume(&queue, 1).await.receives("{}").await;
    for (name, value) in pairs {
        assert_eq!(
            delivery.message().header(name),
            Some(value),
            "the header {name}"
        );
    }
    ack(delivery).await;
}

/// Messages of one key stay in order; or the driver rejects a key.
pub async fn keys_keep_order_or_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let keyed = |key: usize| {
        let mut options = SendOptions::default();
        options.key = Some(format!("user {key}"));
        options
    };
    if !here.driver.caps().keys {
        return here.refuses(queue.into(), keyed(1)).await;
    }
    for n in 0..60 {
        here.send_with(&queue, n.to_string(), keyed(n % 3)).await;
    }
    let mut consumer = here.consume(&queue, 10).await;
    let mut next: [usize; 3] = [0, 1, 2];
    for _ in 0..60 {
        let delivery = consumer.next().await;
        let n: usize = body_of(delivery.message()).parse().expect("a number");
        let key = format!("user {}", n % 3);
        assert_eq!(delivery.message().key(), Some(&*key));
        assert_eq!(
            n,
            std::mem::replace(&mut next[n % 3], n + 3),
            "of the key {}",
            n % 3
        );
        ack(delivery).await;
    }
}

/// The driver rejects an unknown property of the server's protocol.
pub async fn unknown_properties_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = SendOptions::default();
    options.native.insert("no_such_property".into(), "1".into());
    here.refuses(queue.into(), options).await;
}

/// When a consumer starts, the driver rejects an unknown driver option, with its name.
pub async fn unknown_consumer_options_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = ConsumeOptions::with_prefetch(1);
    options.native.insert("no_such_option".into(), "1".into());
    let consuming = here.driver.consume(&queue, options).await;
    unsupported("`no_such_option`", consuming.map(drop));
}

/// An option of the driver that it does not know is refused when a queue is declared, and named.
pub async fn unknown_options_of_a_declaration_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let mut options = DeclareOptions::default();
    options.native.insert("no_such_option".into(), "1".into());
    let declaring = here.driver.declare(&queue, &options);
    let declared = fixture.limit.wait("declaring", declaring).await;
    unsupported("`no_such_option`", declared);
    here.length_is(&queue, 0).await;
}

/// Headers that are larger than the driver's `max_headers` are refused, and those that are not travel, also as those of a
/// dead letter. A driver without headers refuses both; one without a limit accepts a mebibyte.
pub async fn too_large_headers_are_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let caps = here.driver.caps();
    let most = caps.max_headers.unwrap_or(1 << 20);
    let of_size = |size: usize| {
        let mut options = SendOptions::default();
        let value = "v".repeat(size - "trace".len() - 8);
        options.headers = vec![("trace".to_owned(), value)];
        options
    };
    if !caps.headers {
        return here.refuses(queue.into(), of_size(most)).await;
    }
    here.send_with(&queue, "{}", of_size(most)).await;
    let delivery = here.consume(&queue, 1).await.receives("{}").await;
    let value = delivery.message().header("trace").map(str::len);
    assert_eq!(value, Some(most - "trace".len() - 8));
    let settlement = Settlement::DeadLetter {
        queue: queue.dead_letter(),
        reason: DeadReason::Failed,
        detail: "x".repeat(1 << 20),
    };
    settle(delivery, settlement).await;
    let dead = Queue::named(queue.dead_letter()).expect("the name of a dead-letter queue");
    ack(here.consume(&dead, 1).await.receives("{}").await).await;
    if caps.max_headers.is_some() {
        let route = queue.clone().into();
        let sending = here.driver.send(&route, "{}".into(), of_size(most + 1));
        let size = (most + 1).to_string();
        refused(ErrorKind::PayloadTooLarge, &size, sending.await);
        here.is_empty(&queue).await;
    }
}

/// The driver rejects a body that is larger than its `max_payload`, and nothing of it arrives.
pub async fn too_large_is_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let size = here.driver.caps().max_payload + 1;
    let route = queue.clone().into();
    here.declare(&queue).await;
    let sending = here
        .driver
        .send(&route, vec![b' '; size].into(), SendOptions::default());
    refused(ErrorKind::PayloadTooLarge, &size.to_string(), sending.await);
    here.send(&queue, "small").await;
    ack(here.consume(&queue, 1).await.receives("small").await).await;
}
