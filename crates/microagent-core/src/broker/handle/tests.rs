//! One consumer for each queue of a handle, and the warning about exchanges.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;

use super::*;
use crate::{Caps, DeclareOptions, MemoryBroker, Route, SendOptions};

/// A broker whose server does not answer the first consumer.
#[derive(Debug, Default)]
struct Slow {
    inner: MemoryBroker,
    asked: AtomicBool,
}

#[async_trait]
impl QueueBroker for Slow {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.inner.send(to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        if !self.asked.swap(true, Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.inner.consume(queue, options).await
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.inner.length(queue).await
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.inner.declare(queue, options).await
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[test]
fn an_exchange_that_is_not_used_is_told_of_once() {
    let broker = Broker::new(Arc::new(MemoryBroker::new()));
    let queue = Queue::new("pusher").with_exchange("events");
    assert_eq!(broker.newly_unused_exchange(&queue), Some("events"));
    assert_eq!(broker.newly_unused_exchange(&queue), None);
    assert_eq!(broker.newly_unused_exchange(&Queue::new("mailer")), None);
}

#[tokio::test]
async fn a_consume_that_is_given_up_leaves_the_queue_to_others() {
    let broker = Broker::new(Arc::new(Slow::default()));
    let queue = Queue::new("mailer");
    let consume = || broker.consume(&queue, ConsumeOptions::default());
    assert!(consume().now_or_never().is_none(), "the server is slow");
    let again = consume().await.map(drop);
    assert!(again.is_ok(), "{again:?}");
    let second = consume().await.map(drop).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Configuration);
    broker.end_consumer(queue.name());
    assert!(consume().await.is_ok());
}
