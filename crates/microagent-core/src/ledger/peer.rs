//! One process that consumes: how much it has in flight, and whether it has room for a suspect.

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
    /// A suspect of this queue comes when nothing else is in flight.
    Promised(Arc<str>),
    /// A suspect is in flight, alone.
    Held,
}

impl Peer {
    /// Whether a suspect can be promised to it.
    pub(super) fn is_free(&self) -> bool {
        self.suspicion == Suspicion::None
    }

    /// Whether it may take a message of this queue now.
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

    /// Its turn has come: it holds the suspect now, or there was none left.
    pub(super) fn keep_promise(&mut self, holds: bool) {
        self.suspicion = if holds {
            Suspicion::Held
        } else {
            Suspicion::None
        };
    }

    /// It does not consume this queue any more: a promise is void. Returns whether there was one.
    pub(super) fn release(&mut self, queue: &Arc<str>) -> bool {
        let promised =
            matches!(&self.suspicion, Suspicion::Promised(promised) if promised == queue);
        if promised {
            self.suspicion = Suspicion::None;
        }
        promised
    }

    /// One message less in flight. True when that changes what it may take, beyond the credit of its consumer.
    pub(super) fn landed(&mut self) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.suspicion == Suspicion::Held {
            self.suspicion = Suspicion::None;
            return true;
        }
        self.in_flight == 0 && self.suspicion != Suspicion::None
    }
}
