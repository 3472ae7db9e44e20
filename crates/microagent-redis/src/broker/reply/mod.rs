//! Decoders for the replies of the scripts.
//!
//! Any client of the server may have written the values. An unreadable part counts as missing, so that it does not hold up
//! other messages; a reply of another shape is an error.

use std::time::Duration;

use microagent_core::Result;
use redis::{FromRedisValue, Value};

use super::stored::{Meta, StoredMessage};
use crate::error::error_of;

/// The reply of `take.lua`.
#[derive(Debug, PartialEq)]
pub(super) enum TakeReply {
    Messages {
        messages: Vec<StoredMessage>,
        /// When the next retry is due.
        next_due: Option<Duration>,
        /// The number of suspects that wait.
        suspects: u64,
        /// The number of messages that the consumer has in flight now, these included.
        in_flight: u64,
        /// Entries without a body, which were removed.
        strays: Vec<String>,
    },
    /// The consumer's lease has ended, and its messages are no longer in flight.
    LeaseLost,
}

/// The reply of `suspect.lua`.
#[derive(Debug, PartialEq)]
pub(super) enum SuspectReply {
    Message(StoredMessage),
    None,
    LeaseLost,
}

/// A text of the server, which may have any bytes.
type Text = Vec<u8>;

/// Of `take.lua`: a word, when the next retry is due, how many suspects wait, what was handled before, the first id of the
/// others, their bodies, why each of them is a dead letter, how many are in flight, and entries without a body.
type TakeFields = (
    Text,
    i64,
    u64,
    Vec<(u64, Text, Vec<u8>)>,
    u64,
    Vec<Vec<u8>>,
    Vec<Text>,
    u64,
    Vec<Text>,
);

/// Decodes the reply of `take.lua`.
///
/// # Errors
/// [`Driver`](microagent_core::ErrorKind::Driver) for what it cannot have answered.
pub(super) fn take(reply: Vec<Value>) -> Result<TakeReply> {
    if reply.len() < 9 {
        return Ok(TakeReply::LeaseLost);
    }
    let (_, due, suspects, again, first, bodies, reasons, in_flight, strays): TakeFields =
        decoded(Value::Array(reply))?;
    let again = again
        .into_iter()
        .map(|(id, meta, body)| handled_before(Some(id), &meta, body));
    let fresh = listed(bodies, reasons)
        .zip(0..)
        .map(|(message, at)| StoredMessage {
            id: Some(first.saturating_add(at)),
            ..message
        });
    Ok(TakeReply::Messages {
        messages: again.chain(fresh).collect(),
        next_due: u64::try_from(due).ok().map(Duration::from_millis),
        suspects,
        in_flight,
        strays: strays
            .iter()
            .map(|id| String::from_utf8_lossy(id).into_owned())
            .collect(),
    })
}

/// Decodes the reply of `suspect.lua`.
///
/// # Errors
/// As [`take`].
pub(super) fn suspect(reply: Vec<Value>) -> Result<SuspectReply> {
    match reply.len() {
        0 => Ok(SuspectReply::None),
        1 => Ok(SuspectReply::LeaseLost),
        _ => {
            let (_, id, meta, body): (Text, u64, Text, Vec<u8>) = decoded(Value::Array(reply))?;
            Ok(SuspectReply::Message(handled_before(Some(id), &meta, body)))
        }
    }
}

/// Messages that are in no list: an id, what is known of it, its body.
type Records = Vec<(Text, Text, Vec<u8>)>;

/// Decodes the messages of `peek.lua`, in their order, each with the id by which `select.lua` finds it.
///
/// # Errors
/// As [`take`].
pub(super) fn peek(reply: Value) -> Result<Vec<(String, StoredMessage)>> {
    type PeekFields = (Records, Vec<Vec<u8>>, Vec<Text>, Records, Vec<Text>);
    let (due, bodies, reasons, suspects, ids): PeekFields = decoded(reply)?;
    let id_text = |id: &Text| String::from_utf8_lossy(id).into_owned();
    let aside = |(id, meta, body): (Text, Text, Vec<u8>)| {
        let number = text(&id).and_then(|id| id.parse().ok());
        (id_text(&id), handled_before(number, &meta, body))
    };
    let due = due.into_iter().map(aside);
    let suspects = suspects.into_iter().map(aside);
    let listed = ids.iter().map(id_text).zip(listed(bodies, reasons));
    Ok(due.chain(listed).chain(suspects).collect())
}

fn handled_before(id: Option<u64>, meta: &[u8], body: Vec<u8>) -> StoredMessage {
    StoredMessage {
        id,
        meta: text(meta).map_or(Meta::FIRST, Meta::parse),
        body,
        why: None,
    }
}

/// Decodes the messages of a list: each has a body, and for a dead letter the reason.
fn listed(bodies: Vec<Vec<u8>>, reasons: Vec<Text>) -> impl Iterator<Item = StoredMessage> {
    let mut reasons = reasons.into_iter();
    bodies.into_iter().map(move |body| StoredMessage {
        id: None,
        meta: Meta::FIRST,
        body,
        why: reasons
            .next()
            .and_then(|why| String::from_utf8(why).ok())
            .filter(|why| !why.is_empty()),
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn decoded<T: FromRedisValue>(reply: Value) -> Result<T> {
    redis::from_redis_value(reply).map_err(|error| error_of(error.into()))
}

#[cfg(test)]
mod tests;
