//! The places of a handler's runs, and the jobs that wait for a place.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::{ConsumerOptions, Overflow, ReceiverOptions, driver::lock, stats::Load};

/// The places of one handler. A job that has a place runs; a task that has ended its job takes the next one that waits into the
/// same place, which costs less than a new task.
pub(crate) struct Flow<J> {
    places: Arc<Mutex<Places<J>>>,
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
    /// It has a place, which ends in [`Flow::next`]: the caller runs it.
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
        };
        Self {
            places: Arc::new(Mutex::new(places)),
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
        if places.taken < self.concurrency {
            places.taken += 1;
            return Admission::Runs(job);
        }
        if places.waiting.len() < self.buffer {
            places.waiting.push_back(job);
            return Admission::Waits;
        }
        if self.overflow == Overflow::DropNewest {
            return Admission::Refused(job);
        }
        let Some(oldest) = places.waiting.pop_front() else {
            return Admission::Refused(job);
        };
        places.waiting.push_back(job);
        Admission::WaitsInsteadOf(oldest)
    }

    /// Returns the job that runs next in the place that became free; with `None` the place is given back.
    pub(crate) fn next(&self) -> Option<J> {
        let mut places = self.lock();
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
                if places.taken < self.concurrency || places.waiting.len() < self.buffer {
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
        if places.source_waits && places.waiting.len() <= self.buffer / 2 {
            places.source_waits = false;
            drop(places);
            self.room.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places<J>> {
        lock(&self.places)
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
        assert_eq!(flow.next(), Some(2));
        assert_eq!(flow.next(), None);
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
                flow.next();
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
