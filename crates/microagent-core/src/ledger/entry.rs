//! What the ledger knows of a message, and the names of those who have it.

use std::sync::Arc;

use tokio::time::Instant;

/// A message. Growing: the order of ids is the order of arrival.
pub type MessageId = u64;

/// One `consume` of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u64);

/// A process that consumes, and that can die with what it has in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// A message in the ledger.
#[derive(Debug)]
pub struct Entry<T> {
    /// Its queue.
    pub queue: Arc<str>,
    /// How often a consumer died while it was in flight.
    pub crashes: u32,
    /// What the driver keeps of it.
    pub item: T,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Waiting,
    Delayed,
    InFlight(ConsumerId, PeerId),
}

/// Where a message goes in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Behind everything that waits.
    Tail,
    /// Before everything that has not been handed out yet; those that came back keep the order of their arrival.
    Head,
    /// Outside of the waiting ones until then, and behind them from then on.
    Delayed(Instant),
    /// Its consumer died this often: it is handed out alone, to a peer that has nothing else in flight.
    Suspect(u32),
}

/// A message that has been given to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandOut {
    /// The message.
    pub id: MessageId,
    /// Who has it now.
    pub consumer: ConsumerId,
}
