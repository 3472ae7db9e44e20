//! What a signal bus driver offers: publish, subscribe, and the truth about gaps.
//!
//! A driver knows channels and bytes. It never decodes a payload and never calls a handler.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{DEFAULT_MAX_PAYLOAD, Error, ErrorKind, Leases, Result, driver::ConnectionState};

/// A pub/sub server, seen from one process.
///
/// # Contract
/// - [`subscribe`](Self::subscribe) returns when the subscription is live: what is published after that is heard.
/// - Every subscriber of a matching pattern gets every message once, the publisher's own process included.
/// - The payload is untouched, whatever its bytes.
/// - A lost connection is healed by the driver, for ever, with jittered backoff; each subscription yields one
///   [`BusEvent::Lost`] when the loss is noticed and one [`BusEvent::Gap`] when it is live again. A subscription stream
///   ends only after [`close`](Self::close): the agents that hear it end with a failure.
/// - A slow reader of the stream never stops the driver from reading its socket, nor other subscriptions.
#[async_trait]
pub trait SignalBus: Send + Sync + fmt::Debug + 'static {
    /// Sends to everyone who listens now, and says how many that were.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) while there is no connection,
    /// [`PayloadTooLarge`](crate::ErrorKind::PayloadTooLarge), [`Closed`](crate::ErrorKind::Closed).
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount>;

    /// Listens to all channels that match the pattern, in which `*` stands for any text, `:` and `#` included.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) when the server forbids the channel, [`Closed`](crate::ErrorKind::Closed).
    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>>;

    /// Returns the leases of the server, if it has them. Schedules that run `once` use them if the agent's broker has
    /// none.
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }

    /// Waits until the server is reached.
    ///
    /// # Errors
    /// What cannot heal by waiting: refused credentials, a closed bus.
    async fn ready(&self) -> Result<()>;

    /// Returns the state of the connection, without asking the server. `None` if the driver does not
    /// tell it.
    fn connection(&self) -> Option<ConnectionState> {
        None
    }

    /// Where this bus is, for logs and `info()`: the DSN without credentials.
    fn address(&self) -> String;

    /// Ends all subscriptions and the connection. Calling it twice is harmless.
    ///
    /// # Errors
    /// When what was still under way could not be flushed.
    async fn close(&self) -> Result<()>;
}

/// Refuses a signal of so many bytes when it is larger than [`DEFAULT_MAX_PAYLOAD`]; each driver asks before it publishes.
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

/// Refuses a received signal or answer that is larger than what may be published: decoding it could take all memory.
pub(crate) fn check_received(bytes: usize) -> Result<()> {
    if bytes <= DEFAULT_MAX_PAYLOAD {
        return Ok(());
    }
    let text = format!("a payload of {bytes} bytes: at most {DEFAULT_MAX_PAYLOAD} are received");
    Err(Error::new(ErrorKind::PayloadTooLarge, text))
}

/// How many subscriptions a published message reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriberCount {
    /// The server counted. It is an upper bound of the answers to a call: a listener may hear and not answer.
    Counted(u64),
    /// This server, or this topology, cannot tell.
    Unknown,
}

impl SubscriberCount {
    /// True when the server knows that nobody heard.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::Counted(0)
    }
}

/// What a subscription yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusEvent {
    /// A message was published.
    Message(BusMessage),
    /// The connection was lost, for this reason; nothing is heard until the [`Gap`](Self::Gap) that follows.
    Lost(String),
    /// The connection was lost and is back: what was published meanwhile was not heard.
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

/// A time in which a bus did not hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From the loss of the connection, as far as it was noticed, until the subscription was live again.
    pub lasted: Duration,
    /// What ended the connection.
    pub reason: String,
}
