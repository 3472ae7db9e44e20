//! The grid of a periodic task: fires stand at fixed distances from the first one and never drift.
//!
//! Pure arithmetic; it never waits.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::later;

/// Fires at `first`, `first + period`, `first + 2 × period` and so on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    first: Instant,
    period: Duration,
}

impl Grid {
    /// A grid; a period of zero counts as a nanosecond.
    pub(crate) fn new(first: Instant, period: Duration) -> Self {
        Self {
            first,
            period: period.max(Duration::from_nanos(1)),
        }
    }

    /// The first fire.
    pub(crate) fn first(&self) -> Instant {
        self.first
    }

    /// The first fire after this instant. Fires that were missed meanwhile are left out, so that a process that was
    /// suspended does not catch up in a burst.
    pub(crate) fn next_after(&self, now: Instant) -> Instant {
        let Some(since) = now.checked_duration_since(self.first) else {
            return self.first;
        };
        let into_period = since.as_nanos() % self.period.as_nanos();
        let left = self.period.as_nanos() - into_period;
        later(now, from_nanos(left))
    }
}

/// A duration of less than one period, which fits by construction.
fn from_nanos(nanos: u128) -> Duration {
    const PER_SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / PER_SECOND).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % PER_SECOND).unwrap_or(0);
    Duration::new(seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_late_wake_up_does_not_move_the_grid() {
        let first = Instant::now();
        let grid = Grid::new(first, SECOND);
        let late = first + Duration::from_millis(20);
        assert_eq!(grid.next_after(late), first + SECOND);
        assert_eq!(grid.next_after(first), first + SECOND);
    }

    #[test]
    fn missed_fires_are_left_out() {
        let first = Instant::now();
        let grid = Grid::new(first, SECOND);
        let much_later = first + 8 * 3600 * SECOND + Duration::from_millis(1);
        assert_eq!(grid.next_after(much_later), first + (8 * 3600 + 1) * SECOND);
    }

    #[test]
    fn before_the_first_fire_comes_the_first_fire() {
        let first = Instant::now() + SECOND;
        assert_eq!(Grid::new(first, SECOND).next_after(Instant::now()), first);
    }

    #[test]
    fn a_period_longer_than_the_clock_is_no_overflow() {
        let now = Instant::now();
        assert!(Grid::new(now, Duration::MAX).next_after(now) > now + SECOND);
        assert!(later(now, Duration::MAX) > now + SECOND);
    }

    proptest::proptest! {
        #[test]
        fn the_next_fire_is_the_first_point_of_the_grid_after_now(
            period in 1..5_000u64, since in 0..500_000u64,
        ) {
            let first = Instant::now();
            let (grid, now) = (Grid::new(first, Duration::from_millis(period)), first + Duration::from_millis(since));
            let mut point = first;
            while point <= now {
                point += Duration::from_millis(period);
            }
            proptest::prop_assert_eq!(grid.next_after(now), point);
        }
    }
}
