//! The durable truth behind the hub: which messages exist, where each belongs, and its state.
//!
//! It knows nothing of consumers, connections or clocks. The order of a queue is the order of the ids in it; the hub keeps
//! that order in memory and asks for bodies when it delivers. [`Writer`] is the front: changes go in, confirmations come out.

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

/// Names a message as long as it is stored, and never another one after it: ids grow, so their order is the order of arrival.
pub(crate) type MessageId = u64;

/// What is known of a message without reading its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredMessage {
    pub(crate) id: MessageId,
    pub(crate) queue: Arc<str>,
    /// Which handling comes next, or is under way; counted from 1.
    pub(crate) attempt: u32,
    /// How often a consumer died while the message was in flight.
    pub(crate) crashes: u32,
    /// Not to be delivered before this; it may have passed.
    pub(crate) due: Option<SystemTime>,
    /// When a handling of it failed first.
    pub(crate) first_failure: Option<SystemTime>,
    /// It was in flight in the host's own process, and nothing has come of it.
    pub(crate) taken: bool,
    /// The size of its payload and of its headers.
    pub(crate) bytes: u32,
}

/// Headers beside a body, in the order in which they were sent.
pub(crate) type Headers = Vec<(String, String)>;

/// What a message carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) payload: Bytes,
    pub(crate) headers: Headers,
}

/// Everything that is stored, without the bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Every queue that exists, sorted by name.
    pub(crate) queues: Vec<Arc<str>>,
    /// Every message, sorted by id.
    pub(crate) messages: Vec<StoredMessage>,
    /// Every lease, those that have ended included, sorted by key.
    pub(crate) leases: Vec<StoredLease>,
    /// Greater than every id that was ever stored, those that are gone included.
    pub(crate) next_id: MessageId,
}

/// A key, who has it, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredLease {
    pub(crate) key: String,
    pub(crate) holder: String,
    pub(crate) until: SystemTime,
}

/// What becomes of a message's headers when it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// They grow by these; one of the same name is replaced.
    Add(Headers),
    /// Those that tell of a dead letter go.
    Revive,
}

/// One step from a state of the store to the next. A step on a message that is not stored changes nothing: its first
/// settlement won.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A message arrives, for its first attempt; its queue is created where it does not exist. An id that is stored already is
    /// an error.
    Insert {
        id: MessageId,
        queue: Arc<str>,
        body: Body,
        due: Option<SystemTime>,
    },
    /// It is handled, or thrown away.
    Remove { id: MessageId },
    /// It waits for a retry, and is no longer in flight.
    Delay {
        id: MessageId,
        attempt: u32,
        due: SystemTime,
        /// Kept where it failed for the first time.
        failed: SystemTime,
    },
    /// A delayed message is due at another time. Nothing changes if it has no delay.
    Reschedule { id: MessageId, due: SystemTime },
    /// It changes to another queue, where it is the newest and therefore gets a new id. It waits there for its first attempt,
    /// not in flight, without a delay, crashes or failures.
    Move {
        id: MessageId,
        to: MessageId,
        queue: Arc<str>,
        headers: Rewrite,
    },
    /// Its consumer died; it is no longer in flight.
    Suspect { id: MessageId, crashes: u32 },
    /// It is about to be delivered to the host's own process, whose death nobody else would notice.
    Take { id: MessageId },
    /// It came back from there unhandled and is nobody's fault.
    Untake { id: MessageId },
    /// A queue exists, be it empty.
    Declare { queue: Arc<str> },
    /// Somebody has a key, and nobody else.
    Lease(StoredLease),
    /// Nobody has the key.
    Release { key: String },
}

/// Waits for the disk, on whichever thread. An error leaves open what of the commits before will be found again.
pub(crate) type SyncHandle = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Where the messages are kept.
pub(crate) trait Store: Send + 'static {
    /// Reads everything but the bodies. A row that no store wrote is left where it is and named in the log.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn load(&mut self) -> Result<Snapshot>;

    /// Carries the changes out in their order, all of them or, on an error, none. They survive the death of the process
    /// when it returns, and that of the machine after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// When an inserted id is stored already, and when the storage failed; the store stays usable.
    fn commit(&mut self, changes: &[Change]) -> Result<()>;

    /// The bodies of these messages in this order, without those that are not stored or whose row cannot be read.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>>;

    /// What makes the commits before its call as durable as the store promises.
    ///
    /// # Errors
    /// When there is no way to it.
    fn sync(&self) -> Result<SyncHandle> {
        Ok(Arc::new(|| Ok(())))
    }

    /// Nothing has been asked for a while: the time for what can wait, and need not succeed.
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

/// The instant in the store's resolution, which is a millisecond: never earlier than asked for, never before 1970.
#[cfg(test)]
fn whole_millis(instant: SystemTime) -> SystemTime {
    instant_at(millis_of(instant))
}

/// Milliseconds since the Unix epoch, rounded up.
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

/// Headers as they are stored: nothing, or a JSON list of pairs, which keeps order and repetition.
fn column(headers: &Headers) -> Option<String> {
    (!headers.is_empty()).then(|| serde_json::json!(headers).to_string())
}

#[cfg(test)]
fn stored_size(body: &Body) -> u32 {
    let headers = column(&body.headers).map_or(0, |headers| headers.len());
    u32::try_from(body.payload.len() + headers).unwrap_or(u32::MAX)
}

fn duplicate(id: MessageId) -> Error {
    let text = format!("message {id} is stored already; an id names one message for ever");
    Error::new(ErrorKind::Driver, text)
}
