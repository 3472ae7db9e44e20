//! Waits for the disk, on a second thread if that pays off: meanwhile the next group is written.
//!
//! The thread takes one group at a time, and gets the next one when that is durable. So a slow disk gets larger
//! groups, not more of them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::group::Committed;
use crate::store::SyncHandle;

/// A disk that is this fast is not waited for on the other thread: waking the thread takes about as long.
const QUICK: Duration = Duration::from_micros(500);

/// The disk, as the writer's thread sees it.
pub(super) struct Disk {
    worker: SyncWorker,
    groups: SyncSender<Committed>,
    thread: JoinHandle<()>,
}

/// The work on a group, which either thread does.
#[derive(Clone)]
struct SyncWorker {
    sync: SyncHandle,
    /// True if the last sync took no longer than [`QUICK`].
    is_quick: Arc<AtomicBool>,
}

impl Disk {
    pub(super) fn spawn(sync: SyncHandle) -> io::Result<Self> {
        let (groups, waiting) = mpsc::sync_channel(0);
        let worker = SyncWorker {
            sync,
            is_quick: Arc::default(),
        };
        let disk = worker.clone();
        let thread = thread::Builder::new()
            .name("local-disk".to_owned())
            .spawn(move || disk.run(&waiting))?;
        Ok(Self {
            worker,
            groups,
            thread,
        })
    }

    /// Makes the group durable and answers it, now or soon. Returns when the thread has taken it, if the thread
    /// does it.
    pub(super) fn hand_over(&self, group: Committed) {
        if self.worker.is_quick.load(Ordering::Relaxed) {
            self.worker.make_durable(group);
            return;
        }
        // If the thread panicked the group is not answered, which is an error for those that wait.
        let _ = self.groups.send(group);
    }

    /// Returns when every group is durable and answered.
    pub(super) fn finish(self) {
        drop(self.groups);
        // After a panic nothing is left to be answered.
        let _ = self.thread.join();
    }
}

impl SyncWorker {
    fn run(&self, groups: &Receiver<Committed>) {
        groups.iter().for_each(|group| self.make_durable(group));
    }

    fn make_durable(&self, group: Committed) {
        if !group.has_changes() {
            return group.answer(&Ok(()));
        }
        let began = Instant::now();
        let synced = (self.sync)();
        self.is_quick
            .store(began.elapsed() <= QUICK, Ordering::Relaxed);
        group.answer(&synced);
    }
}
