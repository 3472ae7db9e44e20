//! The source of wall-clock time, which a test can replace; and instants beyond the range of tokio's clock.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// A source of the wall-clock time that schedules follow. Delays and timeouts follow tokio's clock instead.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
///
/// ```
/// use microagent_core::{Clock, SystemClock};
///
/// assert!(SystemClock.now() > std::time::SystemTime::UNIX_EPOCH);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the wall clock is read"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Returns the instant `by` after `now`, or 30 years after `now` if the clock cannot count that far.
pub(crate) fn later(now: Instant, by: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 366 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + YEARS)
}
