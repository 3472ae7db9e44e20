//! The changes of a turn, and the steps that follow when they are durable.

use std::{pin::Pin, sync::Arc, time::SystemTime};

use futures_util::stream::FuturesOrdered;
use microagent_core::{
    Result,
    ledger::{ConsumerId, Entry, MessageId, Position},
};
use tokio::time::Instant;

use super::{item::Item, leases::LeaseState};
use crate::{
    hub::connections::ReplyTarget,
    store::{Change, Writer},
};

/// Everything that the hub is to write.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// New messages. They are a batch of their own, so that a disk without room for them still records settlements.
    arrivals: Batch,
    settlements: Batch,
}

/// Changes that are committed together, all or none.
#[derive(Debug, Default)]
struct Batch {
    changes: Vec<Change>,
    after: Vec<FollowUp>,
}

/// The outcome of a commit, and the steps that waited for it.
pub(crate) type Confirmation = (Result<()>, Vec<FollowUp>);

type Commit = Pin<Box<dyn Future<Output = Confirmation> + Send>>;

/// The commits that are under way, in their order.
pub(crate) type Commits = FuturesOrdered<Commit>;

impl Writes {
    /// Adds a new message.
    pub(super) fn insert(&mut self, change: Change, after: FollowUp) {
        self.arrivals.changes.push(change);
        self.arrivals.after.push(after);
    }

    /// Adds a change, and the step that follows it.
    pub(super) fn change(&mut self, change: Change, after: FollowUp) {
        self.change_only(change);
        self.after(after);
    }

    /// Adds a change that no step follows.
    pub(super) fn change_only(&mut self, change: Change) {
        self.settlements.changes.push(change);
    }

    /// Adds a step that follows everything that was added before.
    pub(super) fn after(&mut self, after: FollowUp) {
        self.settlements.after.push(after);
    }

    /// Hands everything to the writer.
    pub(super) fn submit(&mut self, writer: &Writer, commits: &mut Commits) {
        self.arrivals.submit(writer, commits);
        self.settlements.submit(writer, commits);
    }
}

impl Batch {
    fn submit(&mut self, writer: &Writer, commits: &mut Commits) {
        if self.changes.is_empty() && self.after.is_empty() {
            return;
        }
        let Self { changes, after } = std::mem::take(self);
        let committed = writer.commit(changes);
        commits.push_back(Box::pin(async move { (committed.await, after) }));
    }
}

/// The step that follows a change when it is durable, or could not be written.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// A message exists.
    Inserted {
        target: ReplyTarget,
        id: MessageId,
        queue: Arc<str>,
        item: Item,
        due: Option<Instant>,
    },
    /// A message is settled. If that cannot be written, it is delivered again.
    Settled {
        target: ReplyTarget,
        id: MessageId,
        entry: Entry<Item>,
        outcome: SettlementOutcome,
    },
    /// A message returns to its queue, whether or not the change was written.
    PutBack {
        id: MessageId,
        entry: Entry<Item>,
        place: Position,
    },
    /// The hand-out of a message to the host's own process is recorded; it may be delivered.
    Taken { id: MessageId, holder: ConsumerId },
    /// A queue exists.
    Declared {
        target: ReplyTarget,
        queue: Arc<str>,
    },
    /// A lease was granted. If it cannot be written, the key returns to its state before.
    StoredLease {
        target: ReplyTarget,
        key: String,
        before: Option<LeaseState>,
    },
    /// A browse request has settled this many messages.
    Counted { target: ReplyTarget, count: u64 },
    /// A request waits until everything before it is done, whatever its outcome.
    Answer { target: ReplyTarget },
}

/// The outcome of a settled message.
#[derive(Debug)]
pub(crate) enum SettlementOutcome {
    /// It was handled, and no longer exists.
    Gone,
    /// It waits until this time for its next attempt, after a failure.
    Delayed(Instant, SystemTime),
    /// It has moved to another queue, under another id.
    Moved {
        to: MessageId,
        queue: Arc<str>,
        /// The maximum number of bytes by which its headers have grown.
        added: usize,
    },
}
