//! The steps of tests with one broker.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a step that fails ends the test"
)]
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::time::Duration;

use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    ConsumeOptions, DeclareOptions, Delivery, Queue, QueueBroker, Route, SendOptions,
};
use microagent_kafka::KafkaBroker;
use tokio::time::{Instant, sleep, timeout};

/// The longest time for one event.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

pub(crate) fn queue(name: &str) -> Queue {
    Queue::named(name).unwrap()
}

pub(crate) async fn declare(broker: &KafkaBroker, queue: &Queue, partitions: u32) {
    let mut options = DeclareOptions::default();
    options
        .native
        .insert("partitions".into(), partitions.to_string());
    broker.declare(queue, &options).await.unwrap();
}

pub(crate) async fn send(broker: &KafkaBroker, queue: &Queue, body: String, key: Option<String>) {
    let mut options = SendOptions::default();
    options.key = key;
    let route = Route::from(queue.clone());
    broker.send(&route, body.into(), options).await.unwrap();
}

pub(crate) async fn consume(
    broker: &KafkaBroker,
    queue: &Queue,
    prefetch: usize,
) -> BoxStream<'static, Delivery> {
    broker
        .consume(queue, ConsumeOptions::with_prefetch(prefetch))
        .await
        .unwrap()
}

pub(crate) async fn next(stream: &mut BoxStream<'static, Delivery>) -> Delivery {
    timeout(LIMIT, stream.next())
        .await
        .expect("a delivery")
        .expect("an open stream")
}

pub(crate) fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.message().payload()).into_owned()
}

pub(crate) async fn length_becomes(broker: &KafkaBroker, queue: &Queue, expected: u64) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let length = broker.length(queue).await.unwrap();
        if length == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the length is {length}, not {expected}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}
