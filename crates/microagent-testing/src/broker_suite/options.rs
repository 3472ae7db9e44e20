//! What [`Caps`](microagent_core::Caps) promise is kept, and what they do not is refused, loudly.

mod exchanges;

use std::time::Duration;

use futures_util::future::join;
use microagent_core::{ConsumeOptions, ErrorKind, Queue, QueueBroker, Result, Route, SendOptions};
use tokio::time::Instant;

pub use self::exchanges::{exchanges_send_to_all_their_queues, topics_choose_the_queue};
use super::{
    BrokerServer,
    post::{Office, Post, ack, body_of, new_queue},
};
use crate::suite::skipped;

const SHORTLY: Duration = Duration::from_millis(150);

/// A delayed message comes not before its time, is passed by others, and does not count as waiting; without the
/// capability a delay is refused.
pub async fn a_delay_is_kept_or_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    let mut options = SendOptions::default();
    options.delay = Some(SHORTLY);
    if !here.driver.caps().delay {
        return refused(&here, queue.into(), options).await;
    }
    let mut consumer = here.consume(&queue, 1).await;
    let began = Instant::now();
    here.send_with(&queue, "later", options).await;
    here.send(&queue, "now").await;
    ack(consumer.takes("now").await).await;
    here.length_is(&queue, 0).await;
    let later = consumer.takes("later").await;
    let rounding = Duration::from_millis(2);
    assert!(
        began.elapsed() + rounding >= SHORTLY,
        "it came after {:?}",
        began.elapsed()
    );
    assert_eq!(later.message().attempt(), 1);
    ack(later).await;
}

/// A delayed message finds a consumer that has been waiting since before it was sent; a delay without an end is as good as any.
pub async fn a_delayed_message_reaches_who_waits_already<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    if !here.driver.caps().delay {
        let why = "this driver has no delays; that they are refused is told by a clause of its own";
        return skipped("a_delayed_message_reaches_who_waits_already", why);
    }
    let delayed = |delay| {
        let mut options = SendOptions::default();
        options.delay = Some(delay);
        options
    };
    let mut consumer = here.consume(&queue, 1).await;
    let sending = async {
        here.send_with(&queue, "never", delayed(Duration::MAX))
            .await;
        here.send_with(&queue, "later", delayed(SHORTLY)).await;
    };
    // The first is polled first: it waits when the others are sent.
    let (later, ()) = join(consumer.takes("later"), sending).await;
    ack(later).await;
    here.length_is(&queue, 0).await;
}

/// Headers travel beside the body, whatever their text; without the capability they are refused.
pub async fn headers_travel_or_are_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
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
        return refused(&here, queue.into(), options).await;
    }
    here.send_with(&queue, "{}", options).await;
    let delivery = here.consume(&queue, 1).await.takes("{}").await;
    for (name, value) in pairs {
        assert_eq!(
            delivery.message().header(name),
            Some(value),
            "the header {name}"
        );
    }
    ack(delivery).await;
}

/// Messages of one key stay in order; without the capability a key is refused.
pub async fn keys_keep_order_or_are_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    let keyed = |key: usize| {
        let mut options = SendOptions::default();
        options.key = Some(format!("user {key}"));
        options
    };
    if !here.driver.caps().keys {
        return refused(&here, queue.into(), keyed(1)).await;
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

/// An exchange or a topic is refused without the capability; with it, other clauses tell what they do.
pub async fn exchanges_are_refused_where_there_are_none<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    if here.driver.caps().exchanges {
        let why = "this driver has exchanges; what they do is told by clauses of their own";
        return skipped("exchanges_are_refused_where_there_are_none", why);
    }
    let mut route = Route::from(queue);
    route.exchange = Some("events".to_owned());
    refused(&here, route.clone(), SendOptions::default()).await;
    (route.exchange, route.topic) = (None, Some("m.new".to_owned()));
    refused(&here, route, SendOptions::default()).await;
}

/// A property of the server's protocol is refused where it is unknown.
pub async fn unknown_properties_are_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    let mut options = SendOptions::default();
    options.native.insert("no_such_property".into(), "1".into());
    refused(&here, queue.into(), options).await;
}

/// A driver option that the driver does not know is refused when the consumer starts, and named.
pub async fn unknown_consumer_options_are_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    let mut options = ConsumeOptions::with_prefetch(1);
    options.native.insert("no_such_option".into(), "1".into());
    let consuming = here.driver.consume(&queue, options).await;
    is(
        ErrorKind::Unsupported,
        "`no_such_option`",
        consuming.map(drop),
    );
}

/// A body that is larger than the driver's `max_payload` is refused, and nothing of it arrives.
pub async fn too_large_is_refused<S: BrokerServer>(server: S) {
    let post = Post::of(server);
    let (here, queue) = (post.connect().await, new_queue());
    let size = here.driver.caps().max_payload + 1;
    let route = queue.clone().into();
    let sending = here
        .driver
        .send(&route, vec![b' '; size].into(), SendOptions::default());
    is(ErrorKind::PayloadTooLarge, &size.to_string(), sending.await);
    here.send(&queue, "small").await;
    ack(here.consume(&queue, 1).await.takes("small").await).await;
}

/// Sending so is refused, and nothing of it arrives.
async fn refused<B: QueueBroker>(office: &Office<B>, route: Route, options: SendOptions) {
    let queue: Queue = route.queue.clone();
    let sending = office.driver.send(&route, "{}".into(), options);
    is(ErrorKind::Unsupported, queue.name(), sending.await);
    office.driver.declare(&queue).await.expect("a queue");
    office.is_empty(&queue).await;
}

fn is(kind: ErrorKind, named: &str, result: Result<()>) {
    let error = result.expect_err("it was to be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(named),
        "`{error}` does not name {named}"
    );
}
