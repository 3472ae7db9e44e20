//! A histogram of durations in fixed buckets.

use std::time::Duration;

use super::{Counter, nanos};

/// The upper bounds of the buckets; one more counts what took longer.
pub(crate) const DURATION_BOUNDS: [Duration; 15] = [
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// The number of durations in each bucket, and their sum.
#[derive(Debug, Default)]
pub(crate) struct DurationCounts {
    counts: [Counter; DURATION_BOUNDS.len() + 1],
    sum_nanos: Counter,
}

impl DurationCounts {
    /// Adds a duration. It belongs to the first bucket whose bound it does not exceed.
    pub(crate) fn add(&self, duration: Duration) {
        let bucket = DURATION_BOUNDS.iter().position(|bound| duration <= *bound);
        self.counts[bucket.unwrap_or(DURATION_BOUNDS.len())].count();
        self.sum_nanos.add(nanos(duration));
    }

    /// Returns the number in each bucket; the last one is that of durations beyond all bounds.
    pub(crate) fn counts(&self) -> [u64; DURATION_BOUNDS.len() + 1] {
        std::array::from_fn(|bucket| self.counts[bucket].get())
    }

    pub(crate) fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let counted = DurationCounts::default();
        let millis = [0, 1, 2, 60_000, 60_001];
        for duration in millis.map(Duration::from_millis) {
            counted.add(duration);
        }
        let counts = counted.counts();
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!(counted.sum(), Duration::from_millis(120_004));
    }

    #[test]
    fn the_bounds_grow() {
        assert!(DURATION_BOUNDS.is_sorted());
    }
}
