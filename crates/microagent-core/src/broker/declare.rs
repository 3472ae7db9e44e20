//! The declaration of a queue, with its options.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::{Broker, DeclareOptions};
use crate::{Queue, Result};

/// A declaration, which is made when it is awaited. An existing queue stays as it is.
///
/// # Errors
/// [`InvalidName`](crate::ErrorKind::InvalidName), [`Unsupported`](crate::ErrorKind::Unsupported) for an option that the
/// driver does not know, [`Unavailable`](crate::ErrorKind::Unavailable), [`Refused`](crate::ErrorKind::Refused),
/// [`Closed`](crate::ErrorKind::Closed).
///
/// ```
/// use std::sync::Arc;
/// use microagent_core::{Broker, ErrorKind, MemoryBroker, Queue};
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let broker = Broker::new(Arc::new(MemoryBroker::new()));
/// broker.declare(MAILER).await?;
///
/// // An option of RabbitMQ, which `memory://` does not have:
/// let error = broker.declare(MAILER).native("durable", "false").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unsupported);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[must_use = "a queue is declared when this is awaited"]
pub struct Declaring {
    broker: Broker,
    queue: Queue,
    options: DeclareOptions,
}

impl Declaring {
    pub(super) fn new(broker: Broker, queue: Queue) -> Self {
        Self {
            broker,
            queue,
            options: DeclareOptions::default(),
        }
    }

    /// Sets an option of the driver. `driver(…)` of a consumer takes the same names.
    pub fn native(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.native.insert(name.into(), value.into());
        self
    }

    async fn run(self) -> Result<()> {
        self.queue.check_name()?;
        let driver = self.broker.driver();
        driver.declare(&self.queue, &self.options).await
    }
}

impl IntoFuture for Declaring {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Declaring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Declaring")
            .field("queue", &self.queue)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
