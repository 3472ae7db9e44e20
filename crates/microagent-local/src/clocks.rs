//! The clocks of a hub, behind a trait so that tests can set them.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

/// Reads two kinds of time. Timers follow tokio's clock, which is a third kind: it stops while the machine is
/// suspended.
pub(crate) trait Clocks: Send + Sync + fmt::Debug {
    /// Returns the wall-clock time, which can be set.
    fn wall(&self) -> SystemTime;

    /// Returns the time since a fixed instant. It includes the time in which the machine was suspended, and
    /// cannot be set.
    fn elapsed(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClocks;

/// The clock that includes suspended time. On Apple systems the monotonic clock does.
#[cfg(target_os = "linux")]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const ELAPSED: ClockId = ClockId::Monotonic;

impl Clocks for SystemClocks {
    fn wall(&self) -> SystemTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of the hub that reads the wall clock"
        )]
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        Duration::try_from(clock_gettime(ELAPSED)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_the_machine_advance() {
        let before = SystemClocks.elapsed();
        std::thread::sleep(Duration::from_millis(2));
        assert!(SystemClocks.elapsed() >= before + Duration::from_millis(1));
        assert!(SystemClocks.wall() > SystemTime::UNIX_EPOCH);
    }
}
