//! Where wall-clock time comes from, so that a test can own it.

use std::{fmt, time::SystemTime};

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
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
