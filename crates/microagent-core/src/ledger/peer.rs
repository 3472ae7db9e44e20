//! The state of one consuming process: its number of messages in flight, and whether it can take a suspect.

use std::{collections::BTreeSet, sync::Arc};

use super::ConsumerId;

#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) consumers: BTreeSet<ConsumerId>,
    pub(super) in_flight: usize,
    suspicion: Suspicion,
}

#[derive(Debug, Default, PartialEq)]
enum Suspicion {
    #[default]
    None,
    /// The peer gets a suspect of this queue when it has nothing else in flight.
    Promised(Arc<str>),
    /// A suspect is in flight, alone.
    Held,
}

impl Peer {
    /// Returns true if a suspect can be promised to this peer.
    pub(super) fn is_free(&self) -> bool {
        self.suspicion == Suspicion::None
    }

    /// Returns true if this peer may take a message of this queue now.
    pub(super) fn may_take(&self, queue: &Arc<str>) -> bool {
        match &self.suspicion {
            Suspicion::None => true,
            Suspicion::Promised(promised) => promised == queue && self.in_flight == 0,
            Suspicion::Held => false,
        }
    }

    pub(super) fn promise(&mut self, queue: &Arc<str>) {
        self.suspicion = Suspicion::Promised(queue.clone());
    }

    /// Ends the promise: the peer now holds the suspect, or no suspect was left.
    pub(super) fn keep_promise(&mut self, holds: bool) {
        self.suspicion = if holds {
            Suspicion::Held
        } else {
            Suspicion::None
        };
    }

    /// Cancels a promise for this queue, because the peer no longer consumes it. Returns true if there was a promise.
    pub(super) fn release(&mut self, queue: &Arc<str>) -> bool {
        let promised =
            matches!(&self.suspicion, Suspicion::Promised(promised) if promised == queue);
        if promised {
            self.suspicion = Suspicion::None;
        }
        promised
    }

    /// Records that one message is no longer in flight. Returns true if this changes which messages the peer may take,
    /// beyond the credit of its consumer.
    pub(super) fn landed(&mut self) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.suspicion == Suspicion::Held {
            self.suspicion = Suspicion::None;
            return true;
        }
        self.in_flight == 0 && self.suspicion != Suspicion::None
    }
}
