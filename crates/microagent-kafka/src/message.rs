//! Records, as messages of the contract and back.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use microagent_core::Message;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
};

use crate::client::Outgoing;

/// The header with the id of a message.
pub(crate) const ID: &str = "x-microagent-id";

/// The place of a message in Kafka, for handlers: `message.native::<KafkaRecord>()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KafkaRecord {
    /// The topic, which is the queue.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The key, as it was sent.
    pub key: Option<Vec<u8>>,
    /// The time of the record, of its sender or of the server.
    pub timestamp: Option<SystemTime>,
    /// The headers whose values are not text, or that have none. They are not among those of the message.
    pub raw_headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Returns the message of a record. A record without a body has an empty one.
pub(crate) fn message_of(queue: &Arc<str>, record: &BorrowedMessage<'_>) -> Message {
    let mut native = KafkaRecord {
        topic: record.topic().to_owned(),
        partition: record.partition(),
        offset: record.offset(),
        key: record.key().map(<[u8]>::to_vec),
        timestamp: record.timestamp().to_millis().and_then(time_of),
        raw_headers: Vec::new(),
    };
    let body = Bytes::copy_from_slice(record.payload().unwrap_or_default());
    let mut message = Message::new(Arc::clone(queue), body);
    let mut id = None;
    for header in record.headers().iter().flat_map(|headers| headers.iter()) {
        let Some(value) = header
            .value
            .and_then(|value| std::str::from_utf8(value).ok())
        else {
            let value = header.value.map(<[u8]>::to_vec);
            native.raw_headers.push((header.key.to_owned(), value));
            continue;
        };
        match header.key {
            ID => id = Some(value.to_owned()),
            name => message = message.with_header(name, value),
        }
    }
    let id = id.unwrap_or_else(|| format!("{}:{}", native.partition, native.offset));
    message = message.with_id(id);
    if let Some(at) = native.timestamp {
        message = message.with_sent_at(at);
    }
    if let Some(key) = record.key().and_then(|key| std::str::from_utf8(key).ok()) {
        message = message.with_key(key);
    }
    message.with_native(Arc::new(native))
}

fn time_of(millis: i64) -> Option<SystemTime> {
    let millis = u64::try_from(millis).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// Returns the headers of a record.
pub(crate) fn headers_of(message: &Outgoing<'_>) -> Option<OwnedHeaders> {
    let id = message.id.map(|id| (ID, Some(id.as_bytes())));
    let own = message.headers.iter();
    let own = own.map(|(name, value)| (&**name, Some(value.as_bytes())));
    let raw = message.raw_headers.iter();
    let raw = raw.map(|(name, value)| (&**name, value.as_deref()));
    let mut all = id.into_iter().chain(own).chain(raw).peekable();
    all.peek()?;
    let with = |headers: OwnedHeaders, (key, value)| headers.insert(Header { key, value });
    Some(all.fold(OwnedHeaders::new(), with))
}
