//! What a queue broker driver offers: send, consume, and one settlement per delivery.
//!
//! A driver knows queues and bytes. It never decodes a payload, never calls a handler, never chooses an outcome.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{Depth, Lease, Selection};
use crate::{Delivery, Error, ErrorKind, Message, Queue, Result, driver::ConnectionState};

/// A queue server, seen from one process.
///
/// # Contract
/// - [`send`](Self::send) returns when the server has accepted the message as durably as it promises.
/// - One message reaches one consumer at a time. Settled, it is gone from where it was; unsettled when its consumer's
///   process or connection dies, it is delivered again with [`Message::crashes`](crate::Message::crashes) raised,
///   alone: a consumer gets such a suspect only when nothing else of its process is in flight, and nothing
///   beside it until it is settled.
/// - A [`Settlement`](crate::Settlement) is atomic: a crash leaves the message in the old place or the new one.
/// - At most [`ConsumeOptions::prefetch`] deliveries of one `consume` are unsettled.
/// - Dropping the stream stops fetching; deliveries that it buffered go back as [`Settlement::Return`](crate::Settlement).
///   Deliveries that were taken out of it may still be settled.
/// - A lost connection is healed by the driver, for ever; the stream ends only when it is dropped or after
///   [`close`](Self::close).
#[async_trait]
pub trait QueueBroker: Send + Sync + fmt::Debug + 'static {
    /// Sends one message; accepted when it returns.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) (not confirmed: it may or may not have arrived),
    /// [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge), [`Unsupported`](crate::ErrorKind::Unsupported) for an option
    /// outside [`caps`](Self::caps), [`Closed`](crate::ErrorKind::Closed).
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()>;

    /// Takes messages out of a queue, which is created where it does not exist.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused), [`Unsupported`](crate::ErrorKind::Unsupported) for an unknown driver option,
    /// [`Closed`](crate::ErrorKind::Closed).
    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>>;

    /// How many messages wait in the queue; those in flight or waiting for a retry are not counted.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed).
    async fn length(&self, queue: &Queue) -> Result<u64>;

    /// Returns how many messages the queue holds, by state. Unless a driver overrides it, only the
    /// waiting ones are known.
    ///
    /// # Errors
    /// As [`length`](Self::length).
    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.length(queue).await.map(Depth::of_waiting)
    }

    /// Creates the queue where it does not exist, with its exchange and topics where the server has them.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Refused`](crate::ErrorKind::Refused), [`Closed`](crate::ErrorKind::Closed).
    async fn declare(&self, queue: &Queue) -> Result<()>;

    /// The messages that wait, from the head on, at most `limit` of them, without taking them. A dead letter has its reason in
    /// its [headers](crate::header), also where the driver has no others.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Caps::peek`].
    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        let _ = limit;
        Err(no_browsing(&self.address(), queue))
    }

    /// Moves waiting messages of one queue to the tail of another and returns how many it moved.
    /// Moved messages are new there: without attempts, crashes and the headers of a dead letter. Each is
    /// in one of both queues at any time.
    ///
    /// # Errors
    /// As [`peek`](Self::peek), [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Caps::requeue`], or for [`Selection::Id`] without [`Caps::select_by_id`]. What was moved before
    /// the error stays moved.
    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        let _ = (to, which.limit(&self.address())?);
        Err(no_browsing(&self.address(), from))
    }

    /// Removes waiting messages and returns how many it removed. Messages in flight or waiting for a
    /// retry stay.
    ///
    /// # Errors
    /// As [`peek`](Self::peek), [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Caps::purge`], or for [`Selection::Id`] without [`Caps::select_by_id`]. What was removed before
    /// the error is gone.
    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        let _ = which.limit(&self.address())?;
        Err(no_browsing(&self.address(), queue))
    }

    /// Returns the messages that this driver keeps beside a queue (retries that wait, suspects, what dead
    /// consumers had in flight) to the queue itself, as new messages, and returns how many there were. A
    /// program that knows nothing but the server's plain queue can take them then.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) while an agent consumes the queue,
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Closed`](crate::ErrorKind::Closed);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) without [`Caps::release`].
    async fn release(&self, queue: &Queue) -> Result<u64> {
        let text = format!(
            "releasing `{queue}` is not supported by `{}`: no other program shares its queues",
            self.address()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Takes a key for a holder, or prolongs what the holder has: until `ttl` from now, by the server's clock. All
    /// processes that share the server compete for it; of those that ask at once one gets it. It ends by itself, and
    /// by nothing else, the end of the holder's process included.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) (not confirmed: the holder may or may not have it),
    /// [`Closed`](crate::ErrorKind::Closed); [`Unsupported`](crate::ErrorKind::Unsupported) without
    /// [`Caps::leases`], which is what a driver answers that does not implement it.
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let _ = (holder, ttl);
        let text = format!(
            "the driver of `{}` has no leases: `{key}` cannot be taken",
            self.address()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Returns the state of the connection, without asking the server. `None` without
    /// [`Caps::connection`].
    fn connection(&self) -> Option<ConnectionState> {
        None
    }

    /// What this driver can do.
    fn caps(&self) -> Caps;

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// What cannot heal by waiting: refused credentials, a closed broker.
    async fn ready(&self) -> Result<()>;

    /// Where this broker is, for logs and `info()`: the DSN without credentials.
    fn address(&self) -> String;

    /// Flushes settlements, ends all consumers and the connection. Calling it twice is harmless.
    ///
    /// # Errors
    /// When settlements could not be flushed; their messages will be delivered again.
    async fn close(&self) -> Result<()>;
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The queue, and the routing key where an exchange is used without a topic.
    pub queue: Queue,
    /// The exchange to publish to instead of the queue's own.
    pub exchange: Option<String>,
    /// The topic to publish under instead of the queue's name.
    pub topic: Option<String>,
}

impl From<Queue> for Route {
    fn from(queue: Queue) -> Self {
        Self {
            queue,
            exchange: None,
            topic: None,
        }
    }
}

/// How a message is sent. An option that the driver's [`Caps`] do not offer is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// Deliver not before this long from now.
    pub delay: Option<Duration>,
    /// Headers that travel beside the body.
    pub headers: Vec<(String, String)>,
    /// The partition key.
    pub key: Option<String>,
    /// Properties of the server's own protocol, by their names there.
    pub native: BTreeMap<String, String>,
}

/// How a queue is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumeOptions {
    /// The most deliveries that may be unsettled at a time; at least 1.
    pub prefetch: usize,
    /// The attribute's driver options, by name; the driver refuses those that it does not know.
    pub native: BTreeMap<String, String>,
}

impl ConsumeOptions {
    /// Options with this prefetch.
    #[must_use]
    pub fn with_prefetch(prefetch: usize) -> Self {
        Self {
            prefetch: prefetch.max(1),
            ..Self::default()
        }
    }

    /// Refuses [`native`](Self::native) options, for a driver that has none.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported), with the first of them.
    ///
    /// ```
    /// use microagent_core::ConsumeOptions;
    ///
    /// let mut options = ConsumeOptions::with_prefetch(8);
    /// assert!(options.refuse_native("memory").is_ok());
    /// options.native.insert("group".into(), "billing".into());
    /// assert!(options.refuse_native("memory").unwrap_err().to_string().contains("`group`"));
    /// ```
    pub fn refuse_native(&self, driver: &str) -> Result<()> {
        match self.native.keys().next() {
            Some(name) => Err(unsupported(
                driver,
                &format!("the driver option `{name}`: it has none"),
            )),
            None => Ok(()),
        }
    }
}

impl Default for ConsumeOptions {
    fn default() -> Self {
        Self {
            prefetch: 32,
            native: BTreeMap::new(),
        }
    }
}

/// What a broker driver can do beyond the contract of [`QueueBroker`]. The conformance suite asserts each
/// of them, and what happens where one is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// Headers travel from the sender to the consumer.
    pub headers: bool,
    /// A message can be sent with a delay.
    pub delay: bool,
    /// Exchanges and topics route messages.
    pub exchanges: bool,
    /// Messages have a partition key.
    pub keys: bool,
    /// Messages have properties of the server's own protocol.
    pub native: bool,
    /// Messages survive the end of every process of ours; where they do not, they end with the last connection.
    pub durable: bool,
    /// Another process can consume what this one sent.
    pub shared: bool,
    /// Keys can be [leased](QueueBroker::lease), which schedules that run `once` need.
    pub leases: bool,
    /// Waiting messages can be [looked at](QueueBroker::peek) without being consumed.
    pub peek: bool,
    /// Waiting messages can be [moved](QueueBroker::requeue) to another queue.
    pub requeue: bool,
    /// Waiting messages can be [removed](QueueBroker::purge).
    pub purge: bool,
    /// One waiting message can be moved or removed [by its id](Selection::Id).
    pub select_by_id: bool,
    /// What is kept beside a queue can be [returned](QueueBroker::release) to it, for other programs.
    pub release: bool,
    /// [`Depth::in_flight`] and [`Depth::delayed`] are known.
    pub depth: bool,
    /// The driver tells the [state of its connection](QueueBroker::connection).
    pub connection: bool,
    /// The largest body in bytes.
    pub max_payload: usize,
}

impl Caps {
    /// Refuses what this driver cannot send as it was asked to.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported), with the option; [`PayloadTooLarge`](ErrorKind::PayloadTooLarge).
    ///
    /// ```
    /// use microagent_core::{Caps, Queue, SendOptions};
    ///
    /// let mut options = SendOptions::default();
    /// options.key = Some("user 7".into());
    /// let refused = Caps::default().check_send("memory", &Queue::new("mailer").into(), 0, &options);
    /// assert!(refused.unwrap_err().to_string().contains("`key`"));
    /// ```
    pub fn check_send(
        self,
        driver: &str,
        to: &Route,
        bytes: usize,
        options: &SendOptions,
    ) -> Result<()> {
        let missing = [
            (!self.headers && !options.headers.is_empty(), "headers"),
            (!self.delay && options.delay.is_some(), "delay"),
            (!self.exchanges && to.exchange.is_some(), "exchange"),
            (!self.exchanges && to.topic.is_some(), "topic"),
            (!self.keys && options.key.is_some(), "key"),
            (!self.native && !options.native.is_empty(), "native"),
        ];
        if let Some((_, option)) = missing.iter().find(|(missing, _)| *missing) {
            return Err(unsupported(
                driver,
                &format!("`{option}` of a message for `{}`", to.queue),
            ));
        }
        if bytes > self.max_payload {
            let text = format!(
                "a message of {bytes} bytes for `{}`: at most {} are sent",
                to.queue, self.max_payload
            );
            return Err(Error::new(ErrorKind::PayloadTooLarge, text));
        }
        Ok(())
    }
}

fn no_browsing(address: &str, queue: &Queue) -> Error {
    let text = format!(
        "the driver of `{address}` cannot look into `{queue}`: its messages can only be consumed"
    );
    Error::new(ErrorKind::Unsupported, text)
}

fn unsupported(driver: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the driver `{driver}` does not offer {what}"),
    )
}

/// The largest body that drivers take unless they are told otherwise: 16 MiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 16 * 1024 * 1024;
