//! Send options: the driver supports those of its [`Caps`](microagent_core::Caps), and rejects the others with an error.

mod exchanges;

use std::time::Duration;

use futures_util::future::join;
use microagent_core::{ConsumeOptions, ErrorKind, QueueBroker, SendOptions};
use tokio::time::Instant;

pub use self::exchanges::{
    exchanges_send_to_all_their_queues_or_are_refused, topics_choose_the_queue_or_are_refused,
};
use super::{
    BrokerServer,
    fixture::{Fixture, ack, body_of, new_queue, refused, unsupported},
};

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
    here.length_is(&queue, 0).await;
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
    here.length_is(&queue, 0).await;
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

/// The driver rejects a body that is larger than its `max_payload`, and nothing of it arrives.
pub async fn too_large_is_refused<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let size = here.driver.caps().max_payload + 1;
    let route = queue.clone().into();
    let sending = here
        .driver
        .send(&route, vec![b' '; size].into(), SendOptions::default());
    refused(ErrorKind::PayloadTooLarge, &size.to_string(), sending.await);
    here.send(&queue, "small").await;
    ack(here.consume(&queue, 1).await.receives("small").await).await;
}
