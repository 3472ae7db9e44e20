//! The second thread of the writer: waits for the disk, while the first commits the next group.
//!
//! It takes one group at a time, and the next is not handed over before that is durable. So a slow disk gets larger groups,
//! not more of them.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender},
    thread::{self, JoinHandle},
};

use super::group::Committed;
use crate::store::Sync;

/// The way to the thread.
pub(super) struct Disk {
    groups: SyncSender<Committed>,
    thread: JoinHandle<()>,
}

impl Disk {
    pub(super) fn spawn(sync: Sync) -> io::Result<Self> {
        let (groups, waiting) = mpsc::sync_channel(0);
        let thread = thread::Builder::new()
            .name("local-disk".to_owned())
            .spawn(move || run(sync, &waiting))?;
        Ok(Self { groups, thread })
    }

    /// Has the group made durable and answered; returns when all groups before it are.
    pub(super) fn hand_over(&self, group: Committed) {
        // A thread that panicked answers nobody, which is an error to those who wait.
        let _ = self.groups.send(group);
    }

    /// Returns when every group is durable and answered.
    pub(super) fn finish(self) {
        drop(self.groups);
        // After a panic nothing is left to be answered.
        let _ = self.thread.join();
    }
}

fn run(mut sync: Sync, groups: &Receiver<Committed>) {
    for group in groups {
        let synced = if group.has_changes() { sync() } else { Ok(()) };
        group.answer(&synced);
    }
}
