//! Messages on the wire: what a handler sees of them, and the copies that retries, suspects and dead letters are.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use microagent_core::{Message, header};

use crate::properties::PERSISTENT;

/// The attempt that the next delivery is.
const ATTEMPT: &str = "x-microagent-attempt";
/// The number of connections that ended while the message was out of its queue.
const CRASHES: &str = "x-microagent-crashes";
/// When a handling failed first, in milliseconds since the Unix epoch.
const FIRST_FAILURE: &str = "x-microagent-first-failure";
/// When a delayed message is due, in milliseconds since the Unix epoch: the server's longest delay is 49 days.
const DUE: &str = "x-microagent-due";
/// The exchange and the topic of the original.
const EXCHANGE: &str = "x-microagent-exchange";
const TOPIC: &str = "x-microagent-topic";

const OWN: [&str; 6] = [ATTEMPT, CRASHES, FIRST_FAILURE, DUE, EXCHANGE, TOPIC];

/// The properties of an AMQP message, for handlers: `message.native::<AmqpProperties>()`.
///
/// A copy that the driver made for a retry keeps the exchange and the routing key of the original.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AmqpProperties {
    /// The exchange that the message was published to; empty for a message that was sent to its queue.
    pub exchange: String,
    /// The routing key: the topic, or the name of the queue.
    pub routing_key: String,
    /// RabbitMQ delivered the message before.
    pub redelivered: bool,
    /// `content_type`.
    pub content_type: Option<String>,
    /// `content_encoding`.
    pub content_encoding: Option<String>,
    /// `delivery_mode`: 2 for a persistent message.
    pub delivery_mode: Option<u8>,
    /// `priority`.
    pub priority: Option<u8>,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `reply_to`.
    pub reply_to: Option<String>,
    /// `expiration`, in milliseconds.
    pub expiration: Option<String>,
    /// `message_id`.
    pub message_id: Option<String>,
    /// `timestamp`, in seconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// `type`.
    pub kind: Option<String>,
    /// `user_id`.
    pub user_id: Option<String>,
    /// `app_id`.
    pub app_id: Option<String>,
}

/// A message as it came from the server.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) redelivered: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// A message on its way to the server.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

impl From<lapin::message::Delivery> for Received {
    fn from(delivery: lapin::message::Delivery) -> Self {
        Self {
            exchange: delivery.exchange.as_str().to_owned(),
            routing_key: delivery.routing_key.as_str().to_owned(),
            redelivered: delivery.redelivered,
            properties: delivery.properties,
            body: delivery.data.into(),
        }
    }
}

impl Received {
    /// Returns what a handler sees.
    pub(crate) fn message(&self, queue: &str) -> Message {
        let mut message = Message::new(queue, self.body.clone())
            .with_attempt(self.counter(ATTEMPT).max(1))
            .with_crashes(self.crashes());
        if let Some(id) = self.properties.message_id() {
            message = message.with_id(id.as_str());
        }
        for (name, value) in self.headers() {
            if let (false, Some(text)) = (is_hidden(name), text_of(value)) {
                message = message.with_header(name, text);
            }
        }
        let failed = self.millis(FIRST_FAILURE).map(Duration::from_millis);
        if let Some(at) = failed.and_then(|after| UNIX_EPOCH.checked_add(after)) {
            message = message.with_first_failure(at);
        }
        let native = self.native();
        if !native.exchange.is_empty() {
            message = message.with_topic(native.routing_key.as_str());
        }
        let seconds = native.timestamp.map(Duration::from_secs);
        if let Some(at) = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds)) {
            message = message.with_sent_at(at);
        }
        message.with_native(std::sync::Arc::new(native))
    }

    pub(crate) fn crashes(&self) -> u32 {
        self.counter(CRASHES)
    }

    /// Returns how long a message that the server released early still has to wait.
    pub(crate) fn remaining(&self, now: SystemTime) -> Option<Duration> {
        let due = self.millis(DUE)?.checked_sub(millis(now))?;
        (due > 0).then(|| Duration::from_millis(due))
    }

    /// Returns the copy that is delivered again after a failure.
    pub(crate) fn retried(&self, to: String, now: SystemTime) -> Outgoing {
        let mut headers = self.kept_headers();
        let attempt = self.counter(ATTEMPT).max(1).saturating_add(1);
        set_number(&mut headers, ATTEMPT, attempt.into());
        let first = self.millis(FIRST_FAILURE).unwrap_or_else(|| millis(now));
        set_number(&mut headers, FIRST_FAILURE, first);
        headers.remove(CRASHES);
        headers.remove(DUE);
        self.copy(to, headers)
    }

    /// Returns the copy of a message whose connection ended while it was out of its queue.
    pub(crate) fn suspected(&self, to: String) -> Outgoing {
        let mut headers = self.kept_headers();
        let crashes = self.crashes().saturating_add(1);
        set_number(&mut headers, CRASHES, crashes.into());
        self.copy(to, headers)
    }

    /// Returns the copy that goes back as it was.
    pub(crate) fn returned(&self, to: String) -> Outgoing {
        self.copy(to, self.kept_headers())
    }

    /// Returns the copy that becomes a dead letter; `message` is what its handler saw.
    pub(crate) fn dead(&self, to: String, dead: Vec<(String, String)>) -> Outgoing {
        let mut headers = self.kept_headers();
        headers.retain(|name, _| !OWN[..4].contains(&name.as_str()));
        for (name, value) in dead {
            if header::is_of_dead_letter(&name) {
                headers.insert(name.into(), AMQPValue::LongString(value.into()));
            }
        }
        self.copy(to, headers)
    }

    /// Returns the copy that is a new message, without attempts, crashes and the headers of a dead letter.
    pub(crate) fn renewed(&self, to: String) -> Outgoing {
        let mut headers = self.kept_headers();
        headers.retain(|name, _| {
            !OWN[..4].contains(&name.as_str()) && !header::is_of_dead_letter(name.as_str())
        });
        self.copy(to, headers)
    }

    fn copy(&self, to: String, mut headers: BTreeMap<ShortString, AMQPValue>) -> Outgoing {
        if !self.exchange.is_empty() && !headers.contains_key(EXCHANGE) {
            let text = |text: &str| AMQPValue::LongString(text.into());
            headers.insert(EXCHANGE.into(), text(&self.exchange));
            headers.insert(TOPIC.into(), text(&self.routing_key));
        }
        Outgoing {
            exchange: String::new(),
            routing_key: to,
            properties: copied(&self.properties).with_headers(headers.into()),
            body: self.body.clone(),
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &AMQPValue)> {
        let table = self.properties.headers().as_ref();
        let pairs = table.into_iter().flat_map(FieldTable::inner);
        pairs.map(|(name, value)| (name.as_str(), value))
    }

    fn header(&self, name: &str) -> Option<&AMQPValue> {
        self.properties.headers().as_ref()?.inner().get(name)
    }

    /// The headers without those that RabbitMQ writes when it moves a message by itself.
    fn kept_headers(&self) -> BTreeMap<ShortString, AMQPValue> {
        let table = self.properties.headers().clone().unwrap_or_default();
        let mut headers = table.inner().clone();
        headers.retain(|name, _| !is_of_server(name.as_str()));
        headers
    }

    fn counter(&self, name: &str) -> u32 {
        let number = self.header(name).and_then(number_of).unwrap_or_default();
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn millis(&self, name: &str) -> Option<u64> {
        self.header(name).and_then(number_of)
    }

    fn native(&self) -> AmqpProperties {
        let properties = &self.properties;
        let text = |text: &Option<ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
        let original = |name| self.header(name).and_then(text_of);
        AmqpProperties {
            exchange: original(EXCHANGE).unwrap_or_else(|| self.exchange.clone()),
            routing_key: original(TOPIC).unwrap_or_else(|| self.routing_key.clone()),
            redelivered: self.redelivered,
            content_type: text(properties.content_type()),
            content_encoding: text(properties.content_encoding()),
            delivery_mode: *properties.delivery_mode(),
            priority: *properties.priority(),
            correlation_id: text(properties.correlation_id()),
            reply_to: text(properties.reply_to()),
            expiration: text(properties.expiration()),
            message_id: text(properties.message_id()),
            timestamp: *properties.timestamp(),
            kind: text(properties.kind()),
            user_id: text(properties.user_id()),
            app_id: text(properties.app_id()),
        }
    }
}

/// Marks a message as due at a time that the server's longest delay does not reach.
pub(crate) fn with_due(
    properties: BasicProperties,
    now: SystemTime,
    delay: Duration,
) -> BasicProperties {
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let mut headers = properties
        .headers()
        .clone()
        .unwrap_or_default()
        .inner()
        .clone();
    set_number(&mut headers, DUE, millis(now).saturating_add(delay));
    properties.with_headers(headers.into())
}

/// The properties of a copy: persistent, without the life span of the original (a message that waits for its retry must not
/// end), and without its user, which RabbitMQ compares with ours.
fn copied(original: &BasicProperties) -> BasicProperties {
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT);
    macro_rules! keep {
        ($($field:ident: $set:ident),* $(,)?) => {
            $(if let Some(value) = original.$field().clone() { copy = copy.$set(value); })*
        };
    }
    keep!(
        content_type: with_content_type,
        content_encoding: with_content_encoding,
        priority: with_priority,
        correlation_id: with_correlation_id,
        reply_to: with_reply_to,
        message_id: with_message_id,
        timestamp: with_timestamp,
        kind: with_type,
        app_id: with_app_id,
    );
    copy
}

fn is_of_server(name: &str) -> bool {
    name == "x-death"
        || name.starts_with("x-first-death-")
        || name.starts_with("x-last-death-")
        || name == "x-delivery-count"
}

fn is_hidden(name: &str) -> bool {
    OWN.contains(&name) || is_of_server(name)
}

fn set_number(headers: &mut BTreeMap<ShortString, AMQPValue>, name: &str, number: u64) {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    headers.insert(name.into(), AMQPValue::LongLongInt(number));
}

fn number_of(value: &AMQPValue) -> Option<u64> {
    match value {
        AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        _ => None,
    }
}

/// Returns a value as text; none for tables and arrays.
fn text_of(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(number) => number.to_string(),
        AMQPValue::ShortShortUInt(number) => number.to_string(),
        AMQPValue::ShortInt(number) => number.to_string(),
        AMQPValue::ShortUInt(number) => number.to_string(),
        AMQPValue::LongInt(number) => number.to_string(),
        AMQPValue::LongUInt(number) => number.to_string(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        AMQPValue::Timestamp(seconds) => seconds.to_string(),
        AMQPValue::Float(number) => number.to_string(),
        AMQPValue::Double(number) => number.to_string(),
        _ => return None,
    })
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
