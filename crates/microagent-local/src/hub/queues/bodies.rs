//! The bodies that must be read from the store before their messages can be delivered.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use microagent_core::{Result, ledger::MessageId};

use crate::store::{Body, Writer};

/// The outcome of a read: which bodies were wanted, and those that the store has.
pub(crate) type BodiesRead = (Vec<MessageId>, Result<Vec<(MessageId, Body)>>);

type Read = Pin<Box<dyn Future<Output = BodiesRead> + Send>>;

/// The reads that are under way.
pub(crate) type Reads = FuturesUnordered<Read>;

/// The messages whose bodies must be read.
#[derive(Debug, Default)]
pub(super) struct WantedBodies {
    wanted: Vec<MessageId>,
    /// The messages whose bodies could not be read; they are wanted again later.
    failed: Vec<MessageId>,
}

impl WantedBodies {
    pub(super) fn add(&mut self, id: MessageId) {
        self.wanted.push(id);
    }

    /// Starts to read all wanted bodies at once.
    pub(super) fn read(&mut self, writer: &Writer, reads: &mut Reads) {
        if self.wanted.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.wanted);
        let read = writer.bodies(ids.clone());
        reads.push(Box::pin(async move { (ids, read.await) }));
    }

    /// Records that these bodies could not be read.
    pub(super) fn fail(&mut self, ids: Vec<MessageId>) {
        self.failed.extend(ids);
    }

    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Makes the bodies that could not be read wanted again.
    pub(super) fn retry(&mut self) {
        self.wanted.append(&mut self.failed);
    }
}
