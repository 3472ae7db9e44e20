//! The capabilities of a driver, and the check of a message against them.

use super::{Route, SendOptions, header};
use crate::{Error, ErrorKind, Queue, Result};

/// Which messages [`QueueBroker::length`](super::QueueBroker::length) counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LengthCounts {
    /// Messages that a consumer can get now.
    #[default]
    Waiting,
    /// All messages that are not settled, also those in flight and those that wait for a retry.
    Unsettled,
}

/// The capabilities of a broker driver beyond the contract of [`QueueBroker`](super::QueueBroker). The conformance suite asserts each
/// of them, and what happens if one is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caps {
    /// Sending to a queue that does not exist creates it. Without it, the message is
    /// [`Unroutable`](crate::ErrorKind::Unroutable).
    pub creates: bool,
    /// A message can be sent with an [id](SendOptions::id), which it has at its consumer, too.
    pub ids: bool,
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
    /// Consumers share a queue by its partitions: a partition with its messages is assigned to one consumer at a
    /// time, however busy that is.
    pub partitioned: bool,
    /// Messages that a stopping consumer returns go behind the waiting ones, as copies. Without it, they keep their
    /// place at the head.
    pub returns_to_tail: bool,
    /// Which messages [`QueueBroker::length`](super::QueueBroker::length) counts.
    pub length: LengthCounts,
    /// The broker has [leases](super::QueueBroker::leases).
    pub leases: bool,
    /// Waiting messages can be [looked at](super::QueueBroker::peek) without being consumed.
    pub peek: bool,
    /// Waiting messages can be [moved](super::QueueBroker::requeue) to another queue.
    pub requeue: bool,
    /// Waiting messages can be [removed](super::QueueBroker::purge).
    pub purge: bool,
    /// Messages are moved and removed only while the queue has no consumer. Otherwise the driver
    /// [refuses](crate::ErrorKind::Refused) it.
    pub changes_idle_only: bool,
    /// One waiting message can be moved or removed [by its id](super::Selection::Id).
    pub select_by_id: bool,
    /// Messages that the driver keeps beside a queue can be [returned](super::QueueBroker::release) to it, for other programs.
    pub release: bool,
    /// [`Depth::in_flight`](super::Depth::in_flight) and [`Depth::delayed`](super::Depth::delayed) are known.
    pub depth: bool,
    /// The driver tells the [state of its connection](super::QueueBroker::connection).
    pub connection: bool,
    /// The largest body in bytes.
    pub max_payload: usize,
    /// The largest headers of a message, as [`header::size_of`] counts them. `None` if
    /// they have no limit of their own. A driver leaves room for
    /// [`header::DEAD_LETTER_SIZE`], so that each accepted message can become a
    /// dead letter.
    pub max_headers: Option<usize>,
}

impl Caps {
    /// Returns the capabilities that the brokers on a server share: messages outlive the processes, other processes can consume
    /// them, and the driver reports its connection. A driver adds what else its server can do.
    ///
    /// ```
    /// let caps = microagent_core::Caps::of_server(1 << 20);
    /// assert!(caps.durable && caps.shared && caps.connection && !caps.peek);
    /// ```
    #[must_use]
    pub fn of_server(max_payload: usize) -> Self {
        Self {
            durable: true,
            shared: true,
            connection: true,
            max_payload,
            ..Self::default()
        }
    }

    /// Checks that this driver can send a message with these options, and that it is not too large.
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
            (!self.ids && options.id.is_some(), "id"),
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
        self.check_headers(&to.queue, &options.headers)
    }

    fn check_headers(self, queue: &Queue, headers: &[(String, String)]) -> Result<()> {
        let pairs = headers.iter().map(|(name, value)| (&**name, &**value));
        let size = header::size_of(pairs);
        match self.max_headers {
            Some(most) if size > most => Err(Error::new(
                ErrorKind::PayloadTooLarge,
                format!(
                    "invalid headers of {size} bytes (8 for each header, its name and its value) for `{queue}`: \
                     expected at most {most}"
                ),
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn unsupported(driver: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the driver `{driver}` does not offer {what}"),
    )
}

/// The largest body that drivers take unless they are told otherwise: 16 MiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 16 * 1024 * 1024;
