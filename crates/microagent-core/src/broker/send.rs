//! One message on its way out, with its options.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;

use super::{Broker, Route, SendOptions};
use crate::{Queue, Result, payload::encode_object};

/// A message that is sent when it is awaited. An option that the driver does not offer is an error then.
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
            body: queue
                .check_name()
                .and_then(|()| encode_object(value))
                .map(Bytes::from),
            broker,
            route: queue.into(),
            options: SendOptions::default(),
        }
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

    /// The partition key: messages of one key stay in order.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// Delivers it not before this long from now.
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

    async fn run(self) -> Result<()> {
        let body = self.body?;
        let driver = self.broker.driver();
        driver.send(&self.route, body, self.options).await
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
