//! The public handle of a queue broker: send, count, and look queues up by name.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::stream::BoxStream;
use microagent_schema::Declarations;
use serde::Serialize;
use tracing::warn;

use super::{ConsumeOptions, Declaring, Depth, NamedQueue, QueueBroker, Selection, Sending};
use crate::{
    AsQueue, Delivery, Error, ErrorKind, Message, Queue, Result,
    driver::{ConnectionState, lock},
    stats::RequestCounts,
};

/// A queue broker: messages are kept until one consumer has handled them. It can be used with and without an
/// agent. Cloning is cheap, and all clones share one broker.
///
/// ```
/// # use std::sync::Arc;
/// use microagent_core::{Broker, MemoryBroker, Queue};
/// use serde_json::json;
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let broker = Broker::new(Arc::new(MemoryBroker::new()));
/// broker.send(MAILER, &json!({"text": "hi"})).await?;
/// assert_eq!(broker.length(MAILER).await?, 1);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Broker(Arc<Parts>);

struct Parts {
    driver: Arc<dyn QueueBroker>,
    options: BrokerOptions,
    consumed: Mutex<HashSet<String>>,
    /// Queues with an exchange that the driver does not support and has already warned about.
    unrouted: Mutex<HashSet<String>>,
    sends: RequestCounts,
}

/// Options of a broker.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BrokerOptions {
    /// The declared queues of the deployment, for look-up by name. Default: none.
    pub declarations: Option<Arc<Declarations>>,
}

impl BrokerOptions {
    /// Sets [`declarations`](Self::declarations).
    #[must_use]
    pub fn declarations(mut self, declarations: impl Into<Arc<Declarations>>) -> Self {
        self.declarations = Some(declarations.into());
        self
    }
}

impl Broker {
    /// Creates a broker on this driver, with default options.
    #[must_use]
    pub fn new(driver: Arc<dyn QueueBroker>) -> Self {
        Self::with_options(driver, BrokerOptions::default())
    }

    /// Creates a broker on this driver.
    #[must_use]
    pub fn with_options(driver: Arc<dyn QueueBroker>, options: BrokerOptions) -> Self {
        Self(Arc::new(Parts {
            driver,
            options,
            consumed: Mutex::default(),
            unrouted: Mutex::default(),
            sends: RequestCounts::default(),
        }))
    }

    /// Sends a value, which must serialize to a JSON object, to a queue. Await the returned [`Sending`], which
    /// takes options.
    pub fn send<T: Serialize + ?Sized>(&self, queue: impl AsQueue, value: &T) -> Sending {
        Sending::new(self.clone(), queue.as_queue().clone(), value)
    }

    /// Returns how many messages wait in a queue.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Closed`], [`ErrorKind::InvalidName`].
    pub async fn length(&self, queue: impl AsQueue) -> Result<u64> {
        let queue = queue.as_queue();
        queue.check_name()?;
        self.0.driver.length(queue).await
    }

    /// Returns how many messages a queue holds, by state.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::{Broker, MemoryBroker, Queue};
    ///
    /// const MAILER: Queue = Queue::new("mailer");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let broker = Broker::new(Arc::new(MemoryBroker::new()));
    /// broker.send(MAILER, &serde_json::json!({"text": "hi"})).await?;
    /// let depth = broker.depth(MAILER).await?;
    /// assert_eq!((depth.waiting, depth.in_flight, depth.delayed), (Some(1), Some(0), Some(0)));
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`length`](Self::length).
    pub async fn depth(&self, queue: impl AsQueue) -> Result<Depth> {
        let queue = queue.as_queue();
        queue.check_name()?;
        self.0.driver.depth(queue).await
    }

    /// Returns the state of the connection, without asking the server. `None` without
    /// [`Caps::connection`](crate::Caps::connection).
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionState> {
        self.0.driver.connection()
    }

    /// Returns up to `limit` waiting messages from the head of a queue, without consuming them.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::{Broker, MemoryBroker, Queue};
    ///
    /// const MAILER: Queue = Queue::new("mailer");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let broker = Broker::new(Arc::new(MemoryBroker::new()));
    /// broker.send(MAILER, &serde_json::json!({"text": "hi"})).await?;
    /// let waiting = broker.peek(MAILER, 10).await?;
    /// assert_eq!(waiting[0].payload(), r#"{"text":"hi"}"#);
    /// assert_eq!(broker.length(MAILER).await?, 1);
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] without [`Caps::peek`](crate::Caps::peek), [`ErrorKind::Unavailable`],
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidName`].
    pub async fn peek(&self, queue: impl AsQueue, limit: usize) -> Result<Vec<Message>> {
        let queue = queue.as_queue();
        queue.check_name()?;
        self.0.driver.peek(queue, limit).await
    }

    /// Moves waiting messages of one queue to the tail of another and returns how many it moved.
    /// Moved messages start again at attempt 1.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::{Broker, MemoryBroker, Queue, Selection};
    ///
    /// const MAILER: Queue = Queue::new("mailer");
    /// const DEAD: Queue = Queue::new("mailer.dead");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let broker = Broker::new(Arc::new(MemoryBroker::new()));
    /// broker.send(DEAD, &serde_json::json!({"text": "hi"})).await?;
    /// assert_eq!(broker.requeue(DEAD, MAILER, &Selection::All).await?, 1);
    /// assert_eq!(broker.length(MAILER).await?, 1);
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`QueueBroker::requeue`]; [`ErrorKind::InvalidName`].
    pub async fn requeue(
        &self,
        from: impl AsQueue,
        to: impl AsQueue,
        which: &Selection,
    ) -> Result<u64> {
        let (from, to) = (from.as_queue(), to.as_queue());
        from.check_name()?;
        to.check_name()?;
        self.0.driver.requeue(from, to, which).await
    }

    /// Removes waiting messages of a queue and returns how many it removed.
    ///
    /// # Errors
    /// Those of [`QueueBroker::purge`]; [`ErrorKind::InvalidName`].
    pub async fn purge(&self, queue: impl AsQueue, which: &Selection) -> Result<u64> {
        let queue = queue.as_queue();
        queue.check_name()?;
        self.0.driver.purge(queue, which).await
    }

    /// Moves the messages that the driver keeps beside a queue back to the queue itself, for programs that
    /// know only the server's plain queue, and returns how many it moved.
    ///
    /// # Errors
    /// Those of [`QueueBroker::release`]; [`ErrorKind::InvalidName`].
    pub async fn release(&self, queue: impl AsQueue) -> Result<u64> {
        let queue = queue.as_queue();
        queue.check_name()?;
        self.0.driver.release(queue).await
    }

    /// Creates a queue if it does not exist. Await the returned [`Declaring`], which takes options of the driver.
    pub fn declare(&self, queue: impl AsQueue) -> Declaring {
        Declaring::new(self.clone(), queue.as_queue().clone())
    }

    /// Returns a declared queue by its name, for names that are known only at run time.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microagent_core::{Broker, BrokerOptions, Declarations, ErrorKind, MemoryBroker};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let file = r#"{"version": 1, "signals": [], "queues": [{"name": "mailer"}]}"#;
    /// let declared = Declarations::parse(file).expect("it is well-formed");
    /// let options = BrokerOptions::default().declarations(declared);
    /// let broker = Broker::with_options(Arc::new(MemoryBroker::new()), options);
    ///
    /// let mailer = broker.queue("mailer")?;
    /// mailer.send(&serde_json::json!({"text": "hi"})).await?;
    /// assert_eq!(mailer.length().await?, 1);
    /// assert_eq!(broker.queue("mialer").unwrap_err().kind(), ErrorKind::QueueNotFound);
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::QueueNotFound`], with the names of the declared queues.
    pub fn queue(&self, name: &str) -> Result<NamedQueue> {
        let declarations = self.0.options.declarations.as_deref();
        if let Some(declared) = declarations.and_then(|known| known.queue(name)) {
            return Ok(NamedQueue {
                broker: self.clone(),
                queue: declared.into(),
            });
        }
        let declared = declarations.iter().flat_map(|known| &known.queues);
        let known = declared.map(|queue| queue.name.as_str());
        Err(Error::undeclared(
            ErrorKind::QueueNotFound,
            "queue",
            name,
            known,
        ))
    }

    /// Returns the declarations that were given in the options.
    #[must_use]
    pub fn declarations(&self) -> Option<&Arc<Declarations>> {
        self.0.options.declarations.as_ref()
    }

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// Errors that waiting does not resolve: refused credentials, a closed broker.
    pub async fn ready(&self) -> Result<()> {
        self.0.driver.ready().await
    }

    /// Flushes settlements, and ends all consumers and the connection, for all clones of this handle. An agent that
    /// still consumes ends with a failure, so stop it first.
    ///
    /// # Errors
    /// An error if settlements could not be flushed; their messages will be delivered again.
    pub async fn close(&self) -> Result<()> {
        self.0.driver.close().await
    }

    /// Returns the driver, for operations that this handle does not offer.
    #[must_use]
    pub fn driver(&self) -> &dyn QueueBroker {
        &*self.0.driver
    }

    /// Consumes a queue. Returns an error if the queue already has a consumer on this handle.
    pub(crate) async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        queue.check_name()?;
        self.tell_of_unused_exchange(queue);
        let claim = self.claim(queue)?;
        let deliveries = self.0.driver.consume(queue, options).await?;
        claim.keep();
        Ok(deliveries)
    }

    /// Makes the caller the only consumer of a queue on this handle.
    fn claim<'a>(&'a self, queue: &'a Queue) -> Result<Claim<'a>> {
        if !self.consumed().insert(queue.name().to_owned()) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "queue `{queue}` has a consumer on this broker handle already: one handler per queue"
                ),
            ));
        }
        Ok(Claim {
            broker: self,
            queue: Some(queue.name()),
        })
    }

    /// Ends the right to consume the queue, so that another consumer can claim it.
    pub(crate) fn end_consumer(&self, queue: &str) {
        self.consumed().remove(queue);
    }

    /// Returns the counters of the messages that were sent.
    pub(crate) fn sends(&self) -> &RequestCounts {
        &self.0.sends
    }

    /// Warns, once for each queue, that its declaration binds it to an exchange and that this driver does not
    /// support exchanges.
    pub(super) fn tell_of_unused_exchange(&self, queue: &Queue) {
        if let Some(exchange) = self.newly_unused_exchange(queue) {
            warn!(
                queue = queue.name(),
                exchange,
                "this broker has no exchanges: messages go to the queue, and to no other that is bound to its exchange"
            );
        }
    }

    fn newly_unused_exchange<'a>(&self, queue: &'a Queue) -> Option<&'a str> {
        let exchange = queue.exchange()?;
        let is_new = !self.0.driver.caps().exchanges
            && lock(&self.0.unrouted).insert(queue.name().to_owned());
        is_new.then_some(exchange)
    }

    fn consumed(&self) -> MutexGuard<'_, HashSet<String>> {
        lock(&self.0.consumed)
    }
}

/// The right to consume a queue. It ends if the claim is dropped before [`keep`](Self::keep): the driver
/// refused to consume, or the caller stopped waiting.
struct Claim<'a> {
    broker: &'a Broker,
    queue: Option<&'a str>,
}

impl Claim<'_> {
    /// Keeps the right until [`Broker::end_consumer`].
    fn keep(mut self) {
        self.queue = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue {
            self.broker.end_consumer(queue);
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.driver.address())
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("address", &self.0.driver.address())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
