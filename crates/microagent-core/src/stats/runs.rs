//! The runs of a handler that have ended, in parts: each thread adds to one of them, so that threads do not wait for each other's
//! memory.

use std::{
    array,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use super::{Counter, histogram::DurationCounts};

/// The number of parts. More threads than parts share them, which is slower and counts as well.
const PARTS: usize = 4;

/// The part that the next new thread adds to.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
}

/// The runs of a handler that have ended.
#[derive(Debug, Default)]
pub(super) struct Runs([Part; PARTS]);

/// A part, in cache lines of its own: two, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    done: Counter,
    /// In nanoseconds since the origin, plus 1; 0 for none.
    last_success: AtomicU64,
    durations: DurationCounts,
}

impl Runs {
    /// Counts a run without a failure.
    pub(super) fn succeeded(&self, took: Duration, ended: u64) {
        let part = self.part();
        part.done.count();
        part.last_success.store(ended, Ordering::Relaxed);
        part.durations.add(took);
    }

    /// Adds the duration of a run with a failure.
    pub(super) fn took(&self, took: Duration) {
        self.part().durations.add(took);
    }

    pub(super) fn done(&self) -> u64 {
        self.0.iter().map(|part| part.done.get()).sum()
    }

    pub(super) fn last_success(&self) -> u64 {
        let ends = self.0.iter();
        let ends = ends.map(|part| part.last_success.load(Ordering::Relaxed));
        ends.max().unwrap_or_default()
    }

    /// Returns the number of runs in each bucket, and the sum of their durations.
    pub(super) fn durations(&self) -> (Vec<u64>, Duration) {
        let parts: [_; PARTS] = array::from_fn(|index| self.0[index].durations.counts());
        let buckets = 0..parts[0].len();
        let counts = buckets.map(|bucket| parts.iter().map(|part| part[bucket]).sum());
        let sum = self.0.iter().map(|part| part.durations.sum()).sum();
        (counts.collect(), sum)
    }

    fn part(&self) -> &Part {
        // A thread that ends no longer has a place for its number.
        &self.0[PART.try_with(|part| *part).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_threads_add_is_in_the_sum() {
        let runs = Runs::default();
        std::thread::scope(|scope| {
            for thread in 1..=2 * u64::try_from(PARTS).unwrap() {
                let runs = &runs;
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        runs.succeeded(Duration::from_millis(1), thread);
                    }
                    runs.took(Duration::from_secs(100));
                });
            }
        });
        assert_eq!((runs.done(), runs.last_success()), (8_000, 8));
        let (counts, sum) = runs.durations();
        assert_eq!((counts[0], counts[15]), (8_000, 8));
        assert_eq!(sum, Duration::from_secs(808));
    }
}
