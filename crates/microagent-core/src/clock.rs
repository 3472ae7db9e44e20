//! Where wall-clock time comes from, so that a test can own it; and what tokio's clock cannot count.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// Tells the wall-clock time that schedules follow. Delays and timeouts follow tokio's clock instead.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time now.
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

/// So much later, or as much later as the clock can count.
pub(crate) fn later(now: Instant, by: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 366 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + YEARS)
}
