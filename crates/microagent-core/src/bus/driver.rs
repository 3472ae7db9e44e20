//! The contract of a signal bus driver: publish, subscribe, and report gaps.
//!
//! A driver works with channels and bytes. It never decodes a payload and never calls a handler.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{DEFAULT_MAX_PAYLOAD, Error, ErrorKind, Leases, Result, driver::ConnectionState};

/// A pub/sub server, seen from one process.
///
/// # Contract
/// - [`subscribe`](Self::subscribe) returns when the subscription is live: signals published
///   after that are received.
/// - Every subscriber of a matching pattern gets every message once, the publisher's own process included.
/// - The driver never changes the payload, whatever bytes it contains.
/// - The driver reconnects with jittered backoff until it succeeds. Each subscription yields one
///   [`BusEvent::Lost`] when the driver notices the loss and one [`BusEvent::Gap`] when the subscription is live
///   again. A subscription stream ends only after [`close`](Self::close); agents that read it end with a failure.
/// - A slow reader of the stream never stops the driver from reading its socket, nor other subscriptions.
#[async_trait]
pub trait SignalBus: Send + Sync + fmt::Debug + 'static {
    /// Publishes to all current subscribers and returns how many there were.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) while there is no connection,
    /// [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge), [`Closed`](crate::ErrorKind::Closed).
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount>;

    /// Subscribes to all channels that match the pattern, in which `*` stands for any text, `:` and `#` included.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) if the server forbids the channel, [`Closed`](crate::ErrorKind::Closed).
    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>>;

    /// Returns the channels that begin with `head` and that any process is subscribed to by their full name, each once,
    /// in no order. Subscriptions with a `*` are not listed. It asks the server, and not the subscribers: a process that is
    /// connected and does not run is listed too.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the server does not list them, which is the default;
    /// [`Refused`](crate::ErrorKind::Refused) if it does not allow it, [`Unavailable`](crate::ErrorKind::Unavailable),
    /// [`Closed`](crate::ErrorKind::Closed).
    async fn subscribed(&self, head: &str) -> Result<Vec<String>> {
        let text = format!(
            "listing the subscriptions to `{head}…` is not supported by {}",
            self.address()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Returns the leases of the server, if it has leases. Schedules that run `once` use them if the agent's
    /// broker does not have leases.
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// Errors that waiting does not resolve: refused credentials, a closed bus.
    async fn ready(&self) -> Result<()>;

    /// Returns the state of the connection, without asking the server. `None` if the driver does not
    /// report it.
    fn connection(&self) -> Option<ConnectionState> {
        None
    }

    /// Returns the DSN without credentials, for logs and `info()`.
    fn address(&self) -> String;

    /// Ends all subscriptions and the connection. Calling it twice is harmless.
    ///
    /// # Errors
    /// An error if pending data could not be flushed.
    async fn close(&self) -> Result<()>;
}

/// Returns an error if a signal of this size is larger than [`DEFAULT_MAX_PAYLOAD`]. Each driver calls it
/// before it publishes.
///
/// ```
/// use microagent_core::{DEFAULT_MAX_PAYLOAD, ErrorKind, check_published};
///
/// assert!(check_published("PUBSUB:started:shell", DEFAULT_MAX_PAYLOAD).is_ok());
/// let refused = check_published("PUBSUB:started:shell", DEFAULT_MAX_PAYLOAD + 1).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::PayloadTooLarge);
/// assert_eq!(refused.to_string(), "16777217 bytes on `PUBSUB:started:shell`: at most 16777216 are published");
/// ```
///
/// # Errors
/// [`ErrorKind::PayloadTooLarge`], with the channel, the size and the limit.
pub fn check_published(channel: &str, bytes: usize) -> Result<()> {
    if bytes <= DEFAULT_MAX_PAYLOAD {
        return Ok(());
    }
    let text = format!("{bytes} bytes on `{channel}`: at most {DEFAULT_MAX_PAYLOAD} are published");
    Err(Error::new(ErrorKind::PayloadTooLarge, text))
}

/// Returns an error if a received signal or answer is larger than the limit for publishing, because decoding
/// it could take all memory.
pub(crate) fn check_received(bytes: usize) -> Result<()> {
    if bytes <= DEFAULT_MAX_PAYLOAD {
        return Ok(());
    }
    let text = format!("a payload of {bytes} bytes: at most {DEFAULT_MAX_PAYLOAD} are received");
    Err(Error::new(ErrorKind::PayloadTooLarge, text))
}

/// The number of subscriptions that a published message reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriberCount {
    /// The number that the server counted. It is an upper bound of the answers to a call, because a subscriber
    /// may receive the call and not answer.
    Counted(u64),
    /// The number is not known to this server, or in this topology.
    Unknown,
}

impl SubscriberCount {
    /// Returns `true` if the server knows that the message did not reach any subscription.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::Counted(0)
    }
}

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusEvent {
    /// A message was published.
    Message(BusMessage),
    /// The connection was lost, for this reason. The subscription does not receive messages until the
    /// [`Gap`](Self::Gap) that follows.
    Lost(String),
    /// The connection was lost and is back. Messages published while it was lost were not received.
    Gap(Gap),
}

/// One published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusMessage {
    /// The full channel name.
    pub channel: String,
    /// The body as it was sent.
    pub payload: Bytes,
}

/// A time in which a subscription was disconnected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Time from the loss of the connection, or from when the loss was noticed, until the subscription was
    /// live again.
    pub lasted: Duration,
    /// The reason why the connection ended.
    pub reason: String,
}
