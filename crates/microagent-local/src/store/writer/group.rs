//! Batches that are committed together, because a disk takes a thousand of them as fast as one.

use microagent_core::{Error, Result};
use tokio::sync::oneshot;

use crate::store::{Change, Rewrite, Store};

/// The size of a commit: large enough to make the sync of the disk cheap, small enough that the first change
/// does not wait long for the last.
const MAX_STEPS: usize = 4096;
const MAX_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Group {
    changes: Vec<Change>,
    batches: Vec<Batch>,
    steps: usize,
    bytes: usize,
}

/// The changes of one call: those between the end of the batch before and its own end.
struct Batch {
    end: usize,
    done: oneshot::Sender<Result<()>>,
}

impl Group {
    pub(super) fn add(&mut self, mut changes: Vec<Change>, done: oneshot::Sender<Result<()>>) {
        self.steps += changes.len().max(1);
        self.bytes += changes.iter().map(size).sum::<usize>();
        self.changes.append(&mut changes);
        let end = self.changes.len();
        self.batches.push(Batch { end, done });
    }

    /// Counts work that was done between the batches.
    pub(super) fn postpone(&mut self, steps: usize) {
        self.steps += steps.max(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.steps >= MAX_STEPS || self.bytes >= MAX_BYTES
    }

    /// Commits everything at once. A batch that cannot be committed fails alone and is answered with the error.
    pub(super) fn commit(self, store: &mut impl Store) -> Committed {
        let mut committed = Committed {
            has_changes: !self.changes.is_empty(),
            done: Vec::with_capacity(self.batches.len()),
        };
        commit_from(store, &self.changes, 0, self.batches, &mut committed.done);
        committed
    }
}

/// The calls to answer when a group is durable.
pub(super) struct Committed {
    has_changes: bool,
    done: Vec<oneshot::Sender<Result<()>>>,
}

impl Committed {
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Returns whether there are changes to make durable.
    pub(super) fn has_changes(&self) -> bool {
        self.has_changes
    }

    pub(super) fn answer(self, synced: &Result<()>) {
        for done in self.done {
            // The caller may have stopped waiting.
            let _ = done.send(synced.as_ref().copied().map_err(Error::without_source));
        }
    }
}

/// Commits the batches. If that fails it halves them until the bad ones are alone: one bad batch of thousands
/// costs a dozen more commits, not thousands.
fn commit_from(
    store: &mut impl Store,
    changes: &[Change],
    start: usize,
    mut batches: Vec<Batch>,
    committed: &mut Vec<oneshot::Sender<Result<()>>>,
) {
    let Some(end) = batches.last().map(|batch| batch.end) else {
        return;
    };
    let result = match &changes[start..end] {
        [] => Ok(()),
        changes => store.commit(changes),
    };
    let Err(error) = result else {
        committed.extend(batches.into_iter().map(|batch| batch.done));
        return;
    };
    let later = batches.split_off(batches.len() / 2);
    let Some(middle) = batches.last().map(|batch| batch.end) else {
        // Half of one is none.
        if let Some(alone) = later.into_iter().next() {
            let _ = alone.done.send(Err(error));
        }
        return;
    };
    commit_from(store, changes, start, batches, committed);
    commit_from(store, changes, middle, later, committed);
}

fn size(change: &Change) -> usize {
    let headers = |headers: &[(String, String)]| {
        headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    };
    match change {
        Change::Insert { body, .. } => body.payload.len() + headers(&body.headers),
        Change::Move {
            headers: Rewrite::Add(more),
            ..
        } => headers(more),
        _ => 0,
    }
}
