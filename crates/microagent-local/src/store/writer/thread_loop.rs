//! The writer's first thread: takes what waits, answers reads at once, commits the rest together.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use microagent_core::Result;
use tokio::sync::oneshot;

use super::{disk::Disk, group::Group};
use crate::store::{Body, Change, MessageId, Store};

/// A wait so long is followed by a longer one, as a rule.
const REST: Duration = Duration::from_secs(5);

/// What the thread is asked for. An asker that went away is no reason not to do it.
pub(super) enum Job {
    Commit {
        changes: Vec<Change>,
        done: oneshot::Sender<Result<()>>,
    },
    Bodies {
        ids: Vec<MessageId>,
        done: oneshot::Sender<Result<Vec<(MessageId, Body)>>>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

/// Runs until it is told to close, or until its writer is gone and all is written.
pub(super) fn run(mut store: impl Store, disk: Disk, jobs: &Receiver<Job>) {
    let mut closing = None;
    while closing.is_none()
        && let Some(first) = next(&mut store, jobs)
    {
        let (group, close) = gather(&mut store, first, jobs);
        let committed = group.commit(&mut store);
        if !committed.is_empty() {
            disk.hand_over(committed);
        }
        closing = close;
    }
    disk.finish();
    // Whoever waits for the end may open the file again at once.
    drop(store);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Waits for work. The store may rest once before a long wait, and is not woken up for that again.
fn next(store: &mut impl Store, jobs: &Receiver<Job>) -> Option<Job> {
    match jobs.recv_timeout(REST) {
        Ok(job) => Some(job),
        Err(RecvTimeoutError::Timeout) => {
            store.rest();
            jobs.recv().ok()
        }
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

/// Everything that waits, up to a full group; and whoever asked for the end.
fn gather(
    store: &mut impl Store,
    first: Job,
    jobs: &Receiver<Job>,
) -> (Group, Option<oneshot::Sender<()>>) {
    let mut group = Group::default();
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            Job::Commit { changes, done } => group.add(changes, done),
            Job::Bodies { ids, done } => {
                // Reads do not wait for the disk, but must not keep the commits waiting for ever either.
                group.postpone(ids.len());
                let _ = done.send(store.bodies(&ids));
            }
            Job::Close { done } => return (group, Some(done)),
        }
        next = if group.is_full() {
            None
        } else {
            jobs.try_recv().ok()
        };
    }
    (group, None)
}
