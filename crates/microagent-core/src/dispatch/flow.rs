//! How many runs of a receiver there may be at a time, and what waits behind them.

use std::{collections::VecDeque, sync::Mutex};

use futures_util::future::BoxFuture;

use crate::{Overflow, ReceiverOptions, driver::lock};

/// Work that waits for a place.
pub(crate) type Job = BoxFuture<'static, ()>;

/// The places of one receiver.
pub(crate) struct Flow {
    places: Mutex<Places>,
    concurrency: usize,
    buffer: usize,
    overflow: Overflow,
}

struct Places {
    taken: usize,
    waiting: VecDeque<Job>,
}

/// What became of new work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It has a place, which ends in [`Flow::next`]: the caller runs it.
    Runs,
    Waits,
    WaitsInsteadOfOldest,
    Refused,
}

impl Flow {
    pub(crate) fn new(options: &ReceiverOptions) -> Self {
        Self {
            places: Mutex::new(Places {
                taken: 0,
                waiting: VecDeque::new(),
            }),
            concurrency: options.concurrency.max(1),
            buffer: options.buffer,
            overflow: options.overflow,
        }
    }

    /// Gives work a place, or makes it wait by the declared policy; `job` is made only when it has to wait.
    pub(crate) fn admit(&self, job: impl FnOnce() -> Job) -> Admission {
        let mut places = self.lock();
        if places.taken < self.concurrency {
            places.taken += 1;
            return Admission::Runs;
        }
        if places.waiting.len() < self.buffer {
            places.waiting.push_back(job());
            return Admission::Waits;
        }
        if self.overflow == Overflow::DropNewest || self.buffer == 0 {
            return Admission::Refused;
        }
        let oldest = places.waiting.pop_front();
        places.waiting.push_back(job());
        drop(places);
        // Dropping a job may run code of the user's; not under the lock.
        drop(oldest);
        Admission::WaitsInsteadOfOldest
    }

    /// What runs next in the place that became free; with `None` the place is given back.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut places = self.lock();
        let next = places.waiting.pop_front();
        if next.is_none() {
            places.taken -= 1;
        }
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Places> {
        lock(&self.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(buffer: usize, overflow: Overflow) -> Flow {
        Flow::new(
            &ReceiverOptions::default()
                .concurrency(1)
                .buffer(buffer)
                .overflow(overflow),
        )
    }

    fn job() -> Job {
        Box::pin(async {})
    }

    #[test]
    fn a_place_is_handed_on_to_what_waits() {
        let flow = flow(2, Overflow::DropOldest);
        assert_eq!(flow.admit(job), Admission::Runs);
        assert_eq!(flow.admit(job), Admission::Waits);
        assert!(flow.next().is_some());
        assert!(flow.next().is_none());
        assert_eq!(flow.admit(job), Admission::Runs);
    }

    #[test]
    fn overflow_follows_the_policy() {
        let oldest = flow(1, Overflow::DropOldest);
        let admitted: Vec<_> = (0..3).map(|_| oldest.admit(job)).collect();
        assert_eq!(
            admitted,
            [
                Admission::Runs,
                Admission::Waits,
                Admission::WaitsInsteadOfOldest
            ]
        );
        let newest = flow(1, Overflow::DropNewest);
        let admitted: Vec<_> = (0..3).map(|_| newest.admit(job)).collect();
        assert_eq!(
            admitted,
            [Admission::Runs, Admission::Waits, Admission::Refused]
        );
        let none = flow(0, Overflow::DropOldest);
        assert_eq!(
            [none.admit(job), none.admit(job)],
            [Admission::Runs, Admission::Refused]
        );
    }
}
