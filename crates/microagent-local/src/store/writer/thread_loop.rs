//! The writer's first thread: takes all waiting jobs, answers reads at once, and commits the rest together.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use microagent_core::Result;
use tokio::sync::oneshot;

use super::{disk::Disk, group::Group};
use crate::store::{Body, Change, MessageId, Store};

/// A wait this long is usually followed by a longer one.
const REST: Duration = Duration::from_secs(5);

/// A job of the thread. It is done even if its caller has stopped waiting.
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

/// Runs until it is closed, or until its writer is dropped and everything is written.
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
    // Dropped first: a caller that waits for the end may open the file again at once.
    drop(store);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Waits for a job. Before a long wait the store may do its idle work once.
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

/// Takes the waiting jobs, up to a full group. Returns the sender of a request to close, if there is one.
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
                // Reads do not wait for the disk, but must not delay the commits indefinitely.
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
