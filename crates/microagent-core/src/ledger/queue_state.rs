//! The state of one queue: its waiting messages and its consumers.

use std::collections::{BTreeSet, VecDeque};

use super::{ConsumerId, MessageId, PeerId};

#[derive(Debug, Default)]
pub(super) struct QueueState {
    /// Messages that were not handed out yet, in the order of arrival.
    pub(super) ready: VecDeque<MessageId>,
    /// Messages that were handed out and returned. They are handed out first.
    pub(super) returned: BTreeSet<MessageId>,
    /// Messages whose consumer died. They are handed out alone.
    pub(super) suspects: BTreeSet<MessageId>,
    /// The consumers; the one whose turn is next is at the front.
    pub(super) consumers: VecDeque<ConsumerId>,
    /// The peer that the next suspect is promised to.
    pub(super) suspect_promised_to: Option<PeerId>,
    /// The number of messages that are handed out and not settled.
    pub(super) in_flight: usize,
    /// The number of messages that wait for their time.
    pub(super) delayed: usize,
    /// True if the queue is in the ledger's list of queues to hand out from.
    pub(super) ripe: bool,
}

impl QueueState {
    /// Removes the next message that is not a suspect.
    pub(super) fn next(&mut self) -> Option<MessageId> {
        self.returned.pop_first().or_else(|| self.ready.pop_front())
    }

    /// Returns the consumer whose turn it is and moves it to the end.
    pub(super) fn whose_turn(&mut self) -> Option<ConsumerId> {
        let consumer = self.consumers.pop_front()?;
        self.consumers.push_back(consumer);
        Some(consumer)
    }

    /// Marks the queue as one to hand out from; returns true if it was not marked before.
    pub(super) fn ripens(&mut self) -> bool {
        !std::mem::replace(&mut self.ripe, true)
    }

    /// Returns the waiting messages, suspects last.
    pub(super) fn waiting(&self) -> impl Iterator<Item = MessageId> {
        let returned = self.returned.iter();
        returned.chain(&self.ready).chain(&self.suspects).copied()
    }

    /// Removes the first waiting message, suspects last.
    pub(super) fn withdraw(&mut self) -> Option<MessageId> {
        self.next().or_else(|| self.suspects.pop_first())
    }

    /// Removes one message; returns false if it does not wait here.
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
