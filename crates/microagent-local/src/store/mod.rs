//! The durable state behind the hub: which messages exist, their queues, and their state.
//!
//! The store knows no consumers, connections or clocks. The order of a queue is the order of its ids; the hub
//! keeps that order in memory and reads bodies when it delivers. [`Writer`] is the interface: changes go in,
//! confirmations come out.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use microagent_core::{Error, ErrorKind, Result, header};

use crate::protocol::{MAX_MESSAGE, header_size, message_size};

#[cfg(test)]
mod memory;
mod sqlite;
mod writer;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use memory::MemoryStore;
pub(crate) use sqlite::SqliteStore;
pub(crate) use writer::Writer;

/// The id of a message. An id is never used again: ids grow, so their order is the order of arrival.
pub(crate) type MessageId = u64;

/// A stored message without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) id: MessageId,
    pub(crate) queue: Arc<str>,
    /// The number of the next or current attempt, from 1.
    pub(crate) attempt: u32,
    /// The number of consumers that died while the message was in flight.
    pub(crate) crashes: u32,
    /// The time before which it must not be delivered; it may have passed.
    pub(crate) due: Option<SystemTime>,
    /// The time at which an attempt failed first.
    pub(crate) first_failure: Option<SystemTime>,
    /// True if it was in flight in the host's own process, and is not settled.
    pub(crate) taken: bool,
    /// The size of its payload and of its headers.
    pub(crate) bytes: u32,
}

/// Headers beside a body, in the order in which they were sent.
pub(crate) type Headers = Vec<(String, String)>;

/// The payload and headers of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) payload: Bytes,
    pub(crate) headers: Headers,
}

/// The stored state, without the bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Every queue that exists, sorted by name.
    pub(crate) queues: Vec<Arc<str>>,
    /// Every message, sorted by id.
    pub(crate) messages: Vec<StoredMessage>,
    /// Every lease, those that have ended included, sorted by key.
    pub(crate) leases: Vec<StoredLease>,
    /// Greater than every id that was ever stored, including removed ones.
    pub(crate) next_id: MessageId,
}

/// A stored lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredLease {
    pub(crate) key: String,
    pub(crate) holder: String,
    pub(crate) until: SystemTime,
}

/// The change of a message's headers when it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// Adds these headers, and replaces those of the same name.
    Add(Headers),
    /// Removes the headers of a dead letter.
    Revive,
}

/// A change of the store. A change of a message that is not stored does nothing: its first settlement won.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// Inserts a message for its first attempt, and creates its queue if it does not exist. An id that is
    /// stored already is an error.
    Insert {
        id: MessageId,
        queue: Arc<str>,
        body: Body,
        due: Option<SystemTime>,
    },
    /// Removes a message that was handled or purged.
    Remove { id: MessageId },
    /// Delays a message for a retry. It is no longer in flight.
    Delay {
        id: MessageId,
        attempt: u32,
        due: SystemTime,
        /// Kept if this is the first failure.
        failed: SystemTime,
    },
    /// Changes the due time of a delayed message. Does nothing if it has no delay.
    Reschedule { id: MessageId, due: SystemTime },
    /// Moves a message to another queue, where it is the newest and gets a new id. It waits there for its first
    /// attempt, not in flight, without a delay, crashes or failures.
    Move {
        id: MessageId,
        to: MessageId,
        queue: Arc<str>,
        headers: Rewrite,
    },
    /// Records that its consumer died. It is no longer in flight.
    Suspect { id: MessageId, crashes: u32 },
    /// Records that it is about to be delivered to the host's own process, whose death no other process would
    /// notice.
    Take { id: MessageId },
    /// Records that the host's own process returned it unhandled.
    Untake { id: MessageId },
    /// Creates a queue, which may stay empty.
    Declare { queue: Arc<str> },
    /// Grants a lease.
    Lease(StoredLease),
    /// Releases a lease.
    Release { key: String },
}

/// Waits for the disk, on any thread. After an error it is unknown which earlier commits are durable.
pub(crate) type SyncHandle = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// A store of messages.
pub(crate) trait Store: Send + 'static {
    /// Reads everything but the bodies. A row that no store wrote is left unchanged and reported in the log.
    ///
    /// # Errors
    /// Returns an error if the storage cannot be read.
    fn load(&mut self) -> Result<Snapshot>;

    /// Applies the changes in their order: all of them, or none if there is an error. They survive the death of
    /// the process when this returns, and that of the machine after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// Returns an error if an inserted id is stored already, and if the storage failed. The store stays usable.
    fn commit(&mut self, changes: &[Change]) -> Result<()>;

    /// Returns the bodies of these messages in this order, without those that are not stored or cannot be read.
    ///
    /// # Errors
    /// Returns an error if the storage cannot be read.
    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>>;

    /// Returns a handle that makes all commits before this call durable.
    ///
    /// # Errors
    /// Returns an error if there is no such handle.
    fn sync(&self) -> Result<SyncHandle> {
        Ok(Arc::new(|| Ok(())))
    }

    /// Performs work that can wait, because nothing was requested for a while. It need not succeed.
    fn rest(&mut self) {}
}

/// Returns a body's headers after a move. Those that would make the message too large to be delivered are not added.
fn rewritten(mut headers: Headers, how: &Rewrite, payload: usize) -> Headers {
    match how {
        Rewrite::Add(more) => {
            headers.retain(|(name, _)| !more.iter().any(|(newer, _)| newer == name));
            let mut size = message_size(payload, &headers);
            for header in more {
                if size + header_size(header) <= MAX_MESSAGE {
                    size += header_size(header);
                    headers.push(header.clone());
                }
            }
        }
        Rewrite::Revive => headers.retain(|(name, _)| !header::is_of_dead_letter(name)),
    }
    headers
}

/// Rounds a time to the store's resolution of a millisecond: never earlier than requested, never before 1970.
#[cfg(test)]
fn whole_millis(instant: SystemTime) -> SystemTime {
    instant_at(millis_of(instant))
}

/// Returns the milliseconds since the Unix epoch, rounded up.
fn millis_of(instant: SystemTime) -> i64 {
    let since = instant
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

fn instant_at(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns the stored form of headers: nothing, or a JSON list of pairs, which keeps order and repetition.
fn column(headers: &Headers) -> Option<String> {
    (!headers.is_empty()).then(|| serde_json::json!(headers).to_string())
}

#[cfg(test)]
fn stored_size(body: &Body) -> u32 {
    let headers = column(&body.headers).map_or(0, |headers| headers.len());
    u32::try_from(body.payload.len() + headers).unwrap_or(u32::MAX)
}

fn duplicate(id: MessageId) -> Error {
    let text = format!("message {id} is stored already; an id is never used for another message");
    Error::new(ErrorKind::Driver, text)
}
