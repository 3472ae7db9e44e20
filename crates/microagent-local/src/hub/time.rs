//! The time of a hub: converts between the wall clock and timers, and detects that the wall clock was set.
//!
//! The store keeps wall-clock times, because timers end with their process. A conversion is valid until the
//! wall clock is set or the machine is suspended, so the hub [checks](Time::check) the clocks once a second and
//! converts again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tracing::info;

use crate::clocks::Clocks;

/// The period between two checks of the clocks.
pub(super) const CHECK: Duration = Duration::from_secs(1);

/// Differences of the clocks below this are ignored.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The distance of times that are further away than the clocks can count.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// All clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) instant: Instant,
    elapsed: Duration,
}

/// The clocks, and their readings when they last agreed.
#[derive(Debug)]
pub(super) struct Time {
    clocks: Arc<dyn Clocks>,
    agreed: Now,
}

/// A difference between the clocks.
#[derive(Debug)]
pub(super) struct Shift {
    pub(super) now: Now,
    /// The time for which the machine was suspended, which timers did not count.
    pub(super) suspended: Duration,
}

impl Time {
    pub(super) fn new(clocks: Arc<dyn Clocks>) -> Self {
        let agreed = read(&*clocks);
        Self { clocks, agreed }
    }

    pub(super) fn now(&self) -> Now {
        read(&*self.clocks)
    }

    /// Returns the new readings if the wall clock was set or the machine was suspended since the last check.
    pub(super) fn check(&mut self) -> Option<Shift> {
        let (now, outcome) = (self.now(), self.agreed);
        let elapsed = now.elapsed.saturating_sub(outcome.elapsed);
        let expected = outcome.wall + elapsed;
        let set_by = match now.wall.duration_since(expected) {
            Ok(ahead) => ahead,
            Err(error) => error.duration(),
        };
        let suspended = elapsed.saturating_sub(now.instant.duration_since(outcome.instant));
        if set_by < TOLERANCE && suspended < TOLERANCE {
            return None;
        }
        info!(
            ?set_by,
            back = now.wall < expected,
            ?suspended,
            "the system clock was set or the machine was suspended; delays and leases follow"
        );
        self.agreed = now;
        Some(Shift { now, suspended })
    }
}

fn read(clocks: &dyn Clocks) -> Now {
    Now {
        wall: clocks.wall(),
        elapsed: clocks.elapsed(),
        instant: Instant::now(),
    }
}

impl Now {
    /// Returns the timer of a wall-clock time; now if the time has passed.
    pub(super) fn instant_of(&self, wall: SystemTime) -> Instant {
        let left = wall.duration_since(self.wall).unwrap_or_default();
        self.instant + left.min(FAR)
    }

    /// Returns the wall-clock time of a timer.
    pub(super) fn wall_of(&self, instant: Instant) -> SystemTime {
        self.wall + instant.duration_since(self.instant).min(FAR)
    }
}

impl Shift {
    /// Returns the end of a timer that should have counted the suspended time.
    pub(super) fn corrected(&self, instant: Instant) -> Instant {
        instant
            .checked_sub(self.suspended)
            .unwrap_or(self.now.instant)
    }
}
