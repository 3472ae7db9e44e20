//! The ledger's record of a message, and the ids of messages, consumers and peers.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use tokio::time::Instant;

/// The id of a message. Ids grow: their order is the order of arrival.
pub type MessageId = u64;

/// The hasher of a table of messages. Ids grow by little, so the id itself is the place in the table: messages that arrived
/// one after the other are neighbours in memory, and handing them out in their order misses no cache line twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

/// Makes the hashers of a table of messages.
pub(super) type InOrder = BuildHasherDefault<IdHasher>;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        // The table takes the place from the low bits, and a tag from the seven highest.
        self.0 ^ self.0 << 57
    }
}

/// The id of one `consume` of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u64);

/// The id of a process that consumes, and that can die while it has messages in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// A message in the ledger.
#[derive(Debug)]
pub struct Entry<T> {
    /// The message's queue.
    pub queue: Arc<str>,
    /// The number of times that a consumer died while the message was in flight.
    pub crashes: u32,
    /// The driver's own data about the message.
    pub item: T,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Waiting,
    Delayed,
    InFlight(ConsumerId, PeerId),
}

/// The place of a message in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Behind all waiting messages.
    Tail,
    /// Before all messages that have not been handed out yet. Returned messages keep the order of their arrival.
    Head,
    /// Outside of the waiting messages until this instant, and behind them from then on.
    Delayed(Instant),
    /// Among the suspects, with this number of crashes. A suspect is handed out alone, to a peer that has nothing else
    /// in flight.
    Suspect(u32),
}

/// A message that was handed out to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOut {
    /// The message's id.
    pub id: MessageId,
    /// The consumer that has the message now.
    pub consumer: ConsumerId,
}
