//! The pace of a consumer: of a fast one, the thread takes many settlements at a time, and commits less often.

use std::time::{Duration, Instant};

/// The time in which settlements are counted, and the longest time that the thread waits for more of them.
pub(super) const GATHER: Duration = Duration::from_millis(1);

/// So many settlements in this time make a consumer fast.
const FAST: usize = 16;

/// The share of the messages in flight that the thread waits for.
const SHARE: usize = 4;

/// The pace of one consumer.
pub(super) struct Pace {
    counted_since: Instant,
    count: usize,
    is_fast: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            counted_since: Instant::now(),
            count: 0,
            is_fast: false,
        }
    }

    /// Counts settlements.
    pub(super) fn count(&mut self, settled: usize) {
        let now = Instant::now();
        self.count += settled;
        if now.duration_since(self.counted_since) >= GATHER {
            self.is_fast = self.count >= FAST;
            (self.count, self.counted_since) = (0, now);
        }
    }

    /// Returns true if settlements that came since then wait for those of other messages in flight.
    pub(super) fn gathers(since: Instant, in_flight: usize) -> bool {
        in_flight >= FAST && since.elapsed() < GATHER
    }

    pub(super) fn is_fast(&self) -> bool {
        self.is_fast
    }

    /// Returns how long the thread waits, and for how many settlements.
    pub(super) fn wait(&self, pause: Duration, in_flight: usize) -> (Duration, usize) {
        if self.is_fast {
            (pause.min(GATHER), in_flight / SHARE)
        } else {
            (pause, 1)
        }
    }
}
