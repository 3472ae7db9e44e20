//! A message to send, with its options.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tracing::Instrument;

use super::{Broker, Route, SendOptions};
use crate::{Queue, Result, payload::encode_payload, trace};

/// A message that is sent when this value is awaited. `Ok` means that the server has accepted the message
/// as durably as it promises.
///
/// # Errors
/// [`InvalidName`](crate::ErrorKind::InvalidName) for the queue, [`InvalidPayload`](crate::ErrorKind::InvalidPayload) for a
/// value that is not an object and for NaN and infinite numbers,
/// [`Unsupported`](crate::ErrorKind::Unsupported) for an option that the driver's [`Caps`](crate::Caps) do not offer,
/// [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge), [`Unroutable`](crate::ErrorKind::Unroutable) for a queue that
/// does not exist, without [`Caps::creates`](crate::Caps::creates), [`Unavailable`](crate::ErrorKind::Unavailable) (the
/// message may or may not have arrived), [`Closed`](crate::ErrorKind::Closed).
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use microagent_core::{Broker, ErrorKind, MemoryBroker, Queue};
/// use serde_json::json;
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let broker = Broker::new(Arc::new(MemoryBroker::new()));
/// broker.send(MAILER, &json!({"text": "hi"})).header("trace", "t1").delay(Duration::from_secs(60)).await?;
/// assert_eq!(broker.length(MAILER).await?, 0); // it is not due yet
///
/// let refused = broker.send(MAILER, &json!({})).exchange("events").await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Unsupported);
/// let refused = broker.send(MAILER, "no object").await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidPayload);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[must_use = "a message is sent when it is awaited"]
pub struct Sending {
    broker: Broker,
    route: Route,
    body: Result<Bytes>,
    options: SendOptions,
}

impl Sending {
    pub(super) fn new<T: Serialize + ?Sized>(broker: Broker, queue: Queue, value: &T) -> Self {
        Self {
            body: queue.check_name().and_then(|()| encode_payload(value)),
            broker,
            route: queue.into(),
            options: SendOptions::default(),
        }
    }

    /// Sets the id of the message. By default, the driver generates one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// Publishes to this exchange instead of the queue's own.
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.route.exchange = Some(exchange.into());
        self
    }

    /// Publishes under this topic instead of the queue's name.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.route.topic = Some(topic.into());
        self
    }

    /// Sets the partition key: messages with the same key stay in order.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// Delays the delivery by at least this duration from now.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.push((name.into(), value.into()));
        self
    }

    /// Sets a property of the server's own protocol, by its name there.
    pub fn native(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.native.insert(name.into(), value.into());
        self
    }

    async fn run(mut self) -> Result<()> {
        let body = std::mem::replace(&mut self.body, Ok(Bytes::new()))?;
        self.broker.tell_of_unused_exchange(&self.route.queue);
        if trace::is_enabled() {
            return Box::pin(self.run_traced(body)).await;
        }
        let driver = self.broker.driver();
        let send = driver.send(&self.route, body, self.options);
        self.broker.sends().counted(send).await
    }

    /// Sends in a span whose context travels in the headers of the message.
    async fn run_traced(mut self, body: Bytes) -> Result<()> {
        let driver = self.broker.driver();
        let span = trace::send(driver, &self.route, body.len(), &self.options);
        trace::inject(&span, driver.caps(), &mut self.options);
        let send = driver.send(&self.route, body, self.options);
        let send = send.instrument(span.clone());
        let sent = self.broker.sends().counted(send).await;
        trace::end(&span, &sent);
        sent
    }
}

impl IntoFuture for Sending {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("route", &self.route)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
