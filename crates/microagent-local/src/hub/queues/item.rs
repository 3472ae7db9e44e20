//! The hub's state of a message beside its position in the ledger: above all its body, while there is room in
//! memory.

use std::time::SystemTime;

use bytes::Bytes;
use microagent_core::ledger::{ConsumerId, Entry, MessageId};

use crate::{
    protocol::WireMessage,
    store::{Body, Headers},
};

/// The maximum number of bytes of bodies that are cached for their delivery. The others are read from the store
/// when they are delivered.
pub(super) const MAX_CACHED: usize = 64 * 1024 * 1024;

/// The bytes that a body takes beside its payload and headers.
const BODY: usize = 64;

/// The bytes that a delivery takes beside its body.
const DELIVERY: usize = 256;

/// A message in the ledger.
#[derive(Debug)]
pub(crate) struct Item {
    /// The number of the next or current attempt, from 1.
    pub(super) attempt: u32,
    /// The time at which an attempt failed first.
    pub(super) first_failure: Option<SystemTime>,
    /// The wall-clock time at which it is due, if an earlier hub has delayed it. A delay of this hub follows
    /// its timer alone.
    pub(super) due: Option<SystemTime>,
    body: Option<Body>,
    /// True if its body counts in the cache.
    cached: bool,
    /// The size of its body.
    bytes: u32,
    stage: Stage,
}

/// The progress of a message on its way to a consumer.
#[derive(Debug, Default)]
struct Stage {
    /// The consumer that it is handed out to.
    holder: Option<ConsumerId>,
    /// True while it is in the outbox of its holder.
    queued: bool,
    /// True if it has room on its holder's connection, in the
    /// [`DeliveryWindow`](crate::hub::outgoing::DeliveryWindow).
    claimed: bool,
    /// True while the record of its hand-out is being written, which comes before the delivery.
    recording: bool,
}

impl Item {
    /// Returns a message whose body is only in the store.
    pub(super) fn stored(attempt: u32, bytes: usize) -> Self {
        Self {
            attempt,
            first_failure: None,
            due: None,
            body: None,
            cached: false,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            stage: Stage::default(),
        }
    }

    /// Returns the bytes that it takes in memory on its way to a consumer.
    pub(super) fn cost(&self) -> usize {
        self.bytes as usize + DELIVERY
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Returns whether the connection has room for it, its body is there, and that it is handed out is recorded.
    pub(super) fn is_deliverable(&self) -> bool {
        self.stage.claimed && self.body.is_some() && !self.stage.recording
    }

    /// Returns the consumer that it is handed out to.
    pub(super) fn holder(&self) -> Option<ConsumerId> {
        self.stage.holder
    }

    /// Returns the consumer that it is handed out to, if it waits for its body.
    pub(super) fn holder_without_body(&self) -> Option<ConsumerId> {
        self.stage.holder.filter(|_| self.body.is_none())
    }

    /// Returns whether it is handed out and not delivered yet.
    pub(super) fn is_queued(&self) -> bool {
        self.stage.queued
    }

    /// Returns the room that it has on its holder's connection, if it has any.
    pub(super) fn claimed_cost(&self) -> Option<usize> {
        self.stage.claimed.then(|| self.cost())
    }

    /// Hands it out. It is not deliverable before [`end_recording`](Self::end_recording) if that is recorded first.
    pub(super) fn hand_to(&mut self, consumer: ConsumerId, recording: bool) {
        self.stage.holder = Some(consumer);
        self.stage.queued = true;
        self.stage.recording |= recording;
    }

    pub(super) fn end_recording(&mut self) {
        self.stage.recording = false;
    }

    /// Marks that it has room on its holder's connection. Returns whether its body must be read.
    pub(super) fn claim(&mut self) -> bool {
        self.stage.claimed = true;
        self.body.is_none()
    }

    /// Gives it the body that was read from the store.
    pub(super) fn fill(&mut self, body: Body) {
        self.body = Some(body);
    }

    /// Returns its body, because it is delivered now.
    pub(super) fn deliver(&mut self) -> Option<Body> {
        let body = Cache::lend(self)?;
        self.stage.queued = false;
        self.stage.claimed = false;
        Some(body)
    }
}

/// Counts the bytes of the bodies in memory.
#[derive(Debug, Default)]
pub(super) struct Cache {
    used: usize,
}

impl Cache {
    /// Keeps the body of a new message if there is room.
    pub(super) fn admit(&mut self, item: &mut Item, body: &Body) {
        let size = size(body);
        if self.used + size <= MAX_CACHED {
            self.used += size;
            item.body = Some(body.clone());
            item.cached = true;
        }
    }

    /// Removes the body of a message.
    pub(super) fn evict(&mut self, item: &mut Item) {
        let body = item.body.take();
        if std::mem::take(&mut item.cached) {
            self.used -= body.as_ref().map_or(0, size);
        }
    }

    /// Returns the body of a message. A cached body is kept.
    fn lend(item: &mut Item) -> Option<Body> {
        if item.cached {
            item.body.clone()
        } else {
            item.body.take()
        }
    }
}

/// Converts a message for the protocol, without its body.
pub(super) fn wire_message_of(id: MessageId, entry: &Entry<Item>) -> WireMessage {
    WireMessage {
        id,
        attempt: entry.item.attempt,
        crashes: entry.crashes,
        first_failure: entry.item.first_failure,
        headers: Headers::new(),
        payload: Bytes::new(),
    }
}

/// Adds the body to a message of the protocol.
pub(super) fn filled(message: WireMessage, body: Body) -> WireMessage {
    WireMessage {
        headers: body.headers,
        payload: body.payload,
        ..message
    }
}

/// Resets the item of a message that has left the ledger and its consumer.
pub(super) fn released(mut entry: Entry<Item>) -> Entry<Item> {
    entry.item.stage = Stage::default();
    entry.item.due = None;
    entry
}

/// Returns what a body takes in memory.
pub(super) fn size(body: &Body) -> usize {
    let headers = body.headers.iter();
    BODY + body.payload.len()
        + headers
            .map(|(name, value)| BODY + name.len() + value.len())
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_keeps_within_its_bound_and_forgets_nothing_twice() {
        let mut cache = Cache::default();
        let body = Body {
            payload: vec![0; MAX_CACHED / 2].into(),
            ..Body::default()
        };
        let (mut first, mut second) = (Item::stored(1, 0), Item::stored(1, 0));
        cache.admit(&mut first, &body);
        cache.admit(&mut second, &body);
        assert!(first.body.is_some() && second.body.is_none());

        second.body = Some(body.clone());
        assert!(Cache::lend(&mut second).is_some() && second.body.is_none());
        assert!(Cache::lend(&mut first).is_some() && first.body.is_some());

        for _ in 0..2 {
            cache.evict(&mut first);
            cache.evict(&mut second);
        }
        assert_eq!(cache.used, 0);
        cache.admit(&mut second, &body);
        assert!(second.cached);
    }
}
