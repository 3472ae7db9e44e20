//! One queue: what waits in it, and who consumes it.

use std::collections::{BTreeSet, VecDeque};

use super::{ConsumerId, MessageId, PeerId};

#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// In the order of arrival.
    pub(super) ready: VecDeque<MessageId>,
    /// Handed out before and given back: they go first.
    pub(super) returned: BTreeSet<MessageId>,
    /// Their consumer died: they are handed out alone.
    pub(super) suspects: BTreeSet<MessageId>,
    /// The next one's turn is at the front.
    pub(super) consumers: VecDeque<ConsumerId>,
    /// The peer that the next suspect is promised to.
    pub(super) suspect_promised_to: Option<PeerId>,
    /// How many are handed out and not taken back.
    pub(super) in_flight: usize,
    /// How many wait for a time.
    pub(super) delayed: usize,
    /// It stands in the ledger's list of ripe queues.
    pub(super) ripe: bool,
}

impl QueueState {
    /// The next message that is no suspect.
    pub(super) fn next(&mut self) -> Option<MessageId> {
        self.returned.pop_first().or_else(|| self.ready.pop_front())
    }

    /// The consumer whose turn it is; the next turn is another's.
    pub(super) fn whose_turn(&mut self) -> Option<ConsumerId> {
        let consumer = self.consumers.pop_front()?;
        self.consumers.push_back(consumer);
        Some(consumer)
    }

    /// Something may be handed out; whether that is news to the ledger's list.
    pub(super) fn ripens(&mut self) -> bool {
        !std::mem::replace(&mut self.ripe, true)
    }

    /// Everything that waits, suspects last.
    pub(super) fn waiting(&self) -> impl Iterator<Item = MessageId> {
        let returned = self.returned.iter();
        returned.chain(&self.ready).chain(&self.suspects).copied()
    }

    /// Takes the first that waits, suspects last.
    pub(super) fn withdraw(&mut self) -> Option<MessageId> {
        self.next().or_else(|| self.suspects.pop_first())
    }

    /// Takes this one out, if it waits here.
    pub(super) fn withdraw_one(&mut self, id: MessageId) -> bool {
        if self.returned.remove(&id) || self.suspects.remove(&id) {
            return true;
        }
        let index = self.ready.iter().position(|ready| *ready == id);
        index.and_then(|index| self.ready.remove(index)).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.returned.len() + self.suspects.len()
    }
}
