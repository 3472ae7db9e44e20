//! The places of a handler's runs, and the jobs that wait for a place.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{ConsumerOptions, Overflow, ReceiverOptions, driver::lock, stats::Load};

/// The places of one handler. A job that has a place runs; a task that has ended its job takes the next one that waits into the
/// same place, which costs less than a new task.
///
/// Jobs get tasks of their own while there are free places, so that they run at the same time. A handler whose runs are quick, which
/// means that they end without waiting, gains nothing by that. Its jobs wait for a task that was just made, which runs
/// them one after the other. As soon as a run is not quick, those that wait [get tasks of their own](Self::spread).
pub(crate) struct Flow<J> {
    places: Arc<Mutex<Places<J>>>,
    /// The last task was made for quick runs, and has not begun.
    starts: AtomicBool,
    /// Wakes a source that [waits for room](Self::room).
    room: Notify,
    concurrency: usize,
    buffer: usize,
    overflow: Overflow,
}

struct Places<J> {
    received: u64,
    taken: usize,
    waiting: VecDeque<J>,
    /// The source waits until there is room.
    source_waits: bool,
    /// The last run was quick.
    quick: bool,
}

impl<J: Send> Load for Mutex<Places<J>> {
    fn received_and_waiting(&self) -> (u64, u64) {
        let places = lock(self);
        let waiting = places.waiting.len().try_into().unwrap_or(u64::MAX);
        (places.received, waiting)
    }
}

impl<J> fmt::Debug for Places<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("received", &self.received)
            .field("taken", &self.taken)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// The consequence of a new job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission<J> {
    /// It has a place, which ends in [`Flow::next`]: the caller makes a task for it.
    Runs(J),
    Waits,
    /// It waits; this older job does not wait any longer.
    WaitsInsteadOf(J),
    Refused(J),
}

impl<J> Flow<J> {
    /// The places of a receiver, whose signals come whether there is room or not.
    pub(crate) fn of_receiver(options: &ReceiverOptions) -> Self {
        Self::new(options.concurrency, options.buffer, options.overflow)
    }

    /// The places of a consumer, which asks for messages when there is room. The messages that wait for a place are a part of those
    /// that it may have in flight.
    pub(crate) fn of_consumer(options: &ConsumerOptions) -> Self {
        let spare = options
            .effective_prefetch()
            .saturating_sub(options.concurrency);
        let buffer = spare.min(options.concurrency);
        Self::new(options.concurrency, buffer, Overflow::DropNewest)
    }

    fn new(concurrency: usize, buffer: usize, overflow: Overflow) -> Self {
        let places = Places {
            received: 0,
            taken: 0,
            waiting: VecDeque::new(),
            source_waits: false,
            quick: false,
        };
        Self {
            places: Arc::new(Mutex::new(places)),
            starts: AtomicBool::new(false),
            room: Notify::new(),
            concurrency: concurrency.max(1),
            buffer,
            overflow,
        }
    }

    /// Returns the numbers of jobs that came and that wait, for the status.
    pub(crate) fn load(&self) -> Arc<dyn Load>
    where
        J: Send + 'static,
    {
        Arc::<Mutex<Places<J>>>::clone(&self.places)
    }

    /// Gives a job a place, or makes it wait by the declared policy.
    pub(crate) fn admit(&self, job: J) -> Admission<J> {
        let mut places = self.lock();
        places.received += 1;
        let free = self.concurrency - places.taken;
        let soon = places.quick && self.starts.load(Ordering::Acquire);
        if free > 0 && !soon {
            places.taken += 1;
            self.starts.store(places.quick, Ordering::Release);
            return Admission::Runs(places.oldest_before(job));
        }
        if places.waiting.len() < free + self.buffer {
            places.waiting.push_back(job);
            return Admission::Waits;
        }
        if self.overflow == Overflow::DropNewest || places.waiting.is_empty() {
            return Admission::Refused(job);
        }
        Admission::WaitsInsteadOf(places.oldest_before(job))
    }

    /// Notes that a task begins to run the job of its place: a new job no longer waits for it.
    pub(crate) fn begin(&self) {
        self.starts.store(false, Ordering::Release);
    }

    /// Notes a run that is not quick, and gives a place to a job that waits although one is free: the caller makes a task for it, and
    /// asks again.
    pub(crate) fn spread(&self) -> Option<J> {
        let mut places = self.lock();
        places.quick = false;
        if places.taken == self.concurrency {
            return None;
        }
        let next = places.waiting.pop_front()?;
        places.taken += 1;
        Some(next)
    }

    /// Returns the job that runs next in the place whose run has ended; with `None` the place is given back.
    pub(crate) fn next(&self, quick: bool) -> Option<J> {
        let mut places = self.lock();
        places.quick = quick;
        let next = places.waiting.pop_front();
        if next.is_none() {
            places.taken -= 1;
        }
        self.wake_source(places);
        next
    }

    /// Gives a place back without taking a job that waits.
    pub(crate) fn leave(&self) {
        let mut places = self.lock();
        places.taken -= 1;
        self.wake_source(places);
    }

    /// Waits until the next job will be admitted.
    pub(crate) async fn room(&self) {
        loop {
            {
                let mut places = self.lock();
                if places.jobs() < self.concurrency + self.buffer {
                    return;
                }
                places.source_waits = true;
            }
            self.room.notified().await;
        }
    }

    /// Removes the jobs that wait.
    pub(crate) fn clear(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        // Dropping a job may run other code; not under the lock.
        drop(waiting);
    }

    /// Wakes a source that waits when half of the buffer is empty, so that it does not wake for each job.
    fn wake_source(&self, mut places: MutexGuard<'_, Places<J>>) {
        if places.source_waits && places.jobs() <= self.concurrency + self.buffer / 2 {
            places.source_waits = false;
            drop(places);
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places<J>> {
        lock(&self.places)
    }
}

impl<J> Places<J> {
    /// The jobs that run or wait.
    fn jobs(&self) -> usize {
        self.taken + self.waiting.len()
    }

    /// Returns the job that has waited longest, instead of which the new one waits; if none waits, the new one.
    fn oldest_before(&mut self, job: J) -> J {
        match self.waiting.pop_front() {
            Some(oldest) => {
                self.waiting.push_back(job);
                oldest
            }
            None => job,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn flow(buffer: usize, overflow: Overflow) -> Flow<u32> {
        Flow::of_receiver(
            &ReceiverOptions::default()
                .concurrency(1)
                .buffer(buffer)
                .overflow(overflow),
        )
    }

    fn admit_all(flow: &Flow<u32>, jobs: u32) -> Vec<Admission<u32>> {
        (1..=jobs).map(|job| flow.admit(job)).collect()
    }

    #[test]
    fn a_place_is_handed_on_to_a_waiting_job() {
        let flow = flow(2, Overflow::DropOldest);
        assert_eq!(flow.admit(1), Admission::Runs(1));
        assert_eq!(flow.admit(2), Admission::Waits);
        assert_eq!(flow.next(false), Some(2));
        assert_eq!(flow.next(false), None);
        assert_eq!(flow.admit(3), Admission::Runs(3));
    }

    #[test]
    fn overflow_follows_the_policy() {
        let oldest = admit_all(&flow(1, Overflow::DropOldest), 3);
        assert_eq!(
            oldest,
            [
                Admission::Runs(1),
                Admission::Waits,
                Admission::WaitsInsteadOf(2)
            ]
        );
        let newest = admit_all(&flow(1, Overflow::DropNewest), 3);
        assert_eq!(
            newest,
            [Admission::Runs(1), Admission::Waits, Admission::Refused(3)]
        );
        let none = admit_all(&flow(0, Overflow::DropOldest), 2);
        assert_eq!(none, [Admission::Runs(1), Admission::Refused(2)]);
    }

    #[test]
    fn jobs_of_quick_runs_wait_for_the_task_that_starts() {
        let options = ReceiverOptions::default().concurrency(2).buffer(1);
        let flow = Flow::of_receiver(&options.overflow(Overflow::DropNewest));
        assert_eq!(flow.admit(1), Admission::Runs(1));
        assert_eq!(flow.next(true), None);

        let admitted = admit_all(&flow, 4);
        let (waits, refused) = (|| Admission::Waits, Admission::Refused(4));
        assert_eq!(admitted, [Admission::Runs(1), waits(), waits(), refused]);
        flow.begin();
        assert_eq!(flow.admit(5), Admission::Runs(2), "the oldest first");
        assert_eq!(
            flow.admit(6),
            Admission::Refused(6),
            "both places are taken"
        );
    }

    #[test]
    fn jobs_behind_a_run_that_is_not_quick_get_the_free_places() {
        let options = ReceiverOptions::default().concurrency(3).buffer(9);
        let flow = Flow::of_receiver(&options);
        flow.admit(0);
        flow.next(true);
        admit_all(&flow, 4);
        assert_eq!([flow.spread(), flow.spread()], [Some(2), Some(3)]);
        assert_eq!(flow.spread(), None, "no place is free");
        assert_eq!(flow.next(false), Some(4));
        assert_eq!([flow.next(false), flow.next(false)], [None, None]);
        assert_eq!(flow.admit(5), Admission::Runs(5));
        assert_eq!(
            flow.admit(6),
            Admission::Runs(6),
            "it has a task of its own"
        );
    }

    #[test]
    fn a_consumer_has_room_for_what_it_may_have_in_flight() {
        let room = |concurrency, prefetch| {
            let options = ConsumerOptions::default().concurrency(concurrency);
            let flow = Flow::of_consumer(&options.prefetch(prefetch));
            let mut admitted = 0;
            while flow.room().now_or_never().is_some() {
                flow.admit(admitted);
                admitted += 1;
            }
            admitted
        };
        assert_eq!(room(4, 4), 4);
        assert_eq!(room(4, 6), 6);
        assert_eq!(room(4, 100), 8, "as many wait as run");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_woken_when_half_of_the_buffer_is_empty() {
        let options = ConsumerOptions::default().concurrency(4).prefetch(8);
        let flow = Flow::of_consumer(&options);
        admit_all(&flow, 8);
        let source = async {
            flow.room().await;
            flow.lock().waiting.len()
        };
        let places = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                flow.next(false);
            }
        };
        let (found, ()) = tokio::join!(source, places);
        assert_eq!(found, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_without_a_buffer_is_woken_by_a_place() {
        let options = ConsumerOptions::default().concurrency(1).prefetch(1);
        let flow = Flow::of_consumer(&options);
        admit_all(&flow, 1);
        let give_back = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            flow.leave();
        };
        tokio::join!(flow.room(), give_back);
        assert_eq!(flow.admit(2), Admission::Runs(2));
    }
}
