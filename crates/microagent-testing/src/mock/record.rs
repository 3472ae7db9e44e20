//! The records of a mock, and the conversion of payloads to values for tests.

use bytes::Bytes;
use microagent_core::{Error, ErrorKind, Message, Result, Route, SendOptions, Settlement};
use serde_json::Value;

use super::exact::value_of;

/// A signal that an agent sent or called.
///
/// ```
/// use microagent_core::Error;
/// use microagent_testing::BusMock;
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let bus = BusMock::new();
/// bus.bus().undeclared("started")?.send("shell", &json!({"by": 7})).await?;
///
/// let started = &bus.sent()[0];
/// assert_eq!((started.name.as_str(), started.sender.as_str()), ("started", "shell"));
/// assert_eq!(started.args, json!({"by": 7}));
/// assert_eq!(started.prefix, "PUBSUB");
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SentSignal {
    /// The signal's name.
    pub name: String,
    /// The sender: the name of the agent or program.
    pub sender: String,
    /// Its arguments, a JSON object. A part that a [`Value`] cannot hold, such as an integer beyond 64 bits, is a string with
    /// its JSON text.
    pub args: Value,
    /// The arguments as they were sent.
    pub raw: Bytes,
    /// The prefix of the channel that it went to.
    pub prefix: String,
}

/// A message that an agent sent to a queue.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::{Error, Queue};
/// use microagent_testing::BrokerMock;
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let broker = BrokerMock::new();
/// let minute = Duration::from_secs(60);
/// broker.broker().send(Queue::new("mailer"), &json!({"text": "hi"})).delay(minute).await?;
///
/// let mail = &broker.sent_to("mailer")[0];
/// assert_eq!(mail.body, json!({"text": "hi"}));
/// assert_eq!(mail.options.delay, Some(minute));
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SentMessage {
    /// The queue's name.
    pub queue: String,
    /// The body, a JSON object. A part that a [`Value`] cannot hold, such as an integer beyond 64 bits, is a string with its
    /// JSON text.
    pub body: Value,
    /// The body as it was sent.
    pub raw: Bytes,
    /// The destination: the queue with its exchange, and the exchange and topic of the send options.
    pub route: Route,
    /// Id, delay, headers, key and native properties.
    pub options: SendOptions,
}

/// The settlement of a message that a test pushed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SettledMessage {
    /// The message as it was pushed.
    pub message: Message,
    /// The settlement that the agent chose. The mock only records it: the message is not delivered again.
    pub settlement: Settlement,
}

/// Decodes the payload that an agent sent.
pub(super) fn json_of(payload: &Bytes) -> Result<Value> {
    let json = serde_json::from_slice(payload).map_err(|error| {
        Error::new(
            ErrorKind::InvalidPayload,
            format!("invalid payload: {error}"),
        )
    })?;
    Ok(value_of(json))
}

/// Returns the names for an error: ``(available: `a`, `b`)`` or `(available: none)`.
pub(super) fn listed(names: Vec<String>) -> String {
    let mut names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        "(available: none)".to_owned()
    } else {
        format!("(available: {})", names.join(", "))
    }
}
