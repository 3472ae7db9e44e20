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
}

/// Returns the message of a record. A record without a body has an empty one.
pub(crate) fn message_of(queue: &Arc<str>, record: &BorrowedMessage<'_>) -> Message {
    let native = KafkaRecord {
        topic: record.topic().to_owned(),
        partition: record.partition(),
        offset: record.offset(),
        key: record.key().map(<[u8]>::to_vec),
        timestamp: record.timestamp().to_millis().and_then(time_of),
    };
    let body = Bytes::copy_from_slice(record.payload().unwrap_or_default());
    let mut message = Message::new(Arc::clone(queue), body);
    let mut id = format!("{}:{}", native.partition, native.offset);
    for header in record.headers().iter().flat_map(|headers| headers.iter()) {
        let Some(value) = header
            .value
            .and_then(|value| std::str::from_utf8(value).ok())
        else {
            continue;
        };
        match header.key {
            ID => value.clone_into(&mut id),
            name => message = message.with_header(name, value),
        }
    }
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
pub(crate) fn headers_of(id: Option<&str>, headers: &[(String, String)]) -> Option<OwnedHeaders> {
    let id = id.map(|id| (ID, id));
    let own = headers.iter().map(|(name, value)| (&**name, &**value));
    let all: Vec<_> = id.into_iter().chain(own).collect();
    if all.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(all.len());
    let with = |headers: OwnedHeaders, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    };
    Some(all.into_iter().fold(empty, with))
}
