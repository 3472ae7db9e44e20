//! Wall-clock time that follows tokio's clock, so that paused time moves it too.

use std::time::SystemTime;

use microagent_core::{Clock, Error, ErrorKind, Result};
use tokio::time::Instant;

/// A wall clock for tests of schedules: it starts at a given time and advances with tokio's clock. In a
/// test with paused time a day takes no time.
///
/// ```
/// use std::{sync::{Arc, atomic::{AtomicU32, Ordering}}, time::Duration};
/// use microagent_core::{Agent, Blueprint, Context, CronOptions, Error, MicroAgent, Result};
/// use microagent_testing::VirtualClock;
///
/// #[derive(Default)]
/// struct Reporter {
///     reports: AtomicU32,
/// }
///
/// impl MicroAgent for Reporter {
///     const NAME: &'static str = "Reporter";
///
///     // What `#[cron("0 */4 * * *")] async fn report(&self)` becomes.
///     fn blueprint() -> Blueprint<Self> {
///         Blueprint::new().cron("report", CronOptions::at("0 */4 * * *"), |agent: &Arc<Self>, _cx: &Context| {
///             agent.reports.fetch_add(1, Ordering::Relaxed);
///             Box::pin(async { Ok(()) })
///         })
///     }
///
///     async fn create(_cx: &Context) -> Result<Self> {
///         Ok(Self::default())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// // In a `#[tokio::test(start_paused = true)]`:
/// let clock = VirtualClock::at("2026-03-01T03:59:00Z")?;
/// let agent = Agent::new(Reporter::default()).clock(clock).start().await?;
///
/// tokio::time::sleep(Duration::from_secs(90)).await; // 04:00:30
/// assert_eq!(agent.agent().reports.load(Ordering::Relaxed), 1);
/// tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
/// assert_eq!(agent.agent().reports.load(Ordering::Relaxed), 7);
/// agent.stop().await
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    start: SystemTime,
    since: Instant,
}

impl VirtualClock {
    /// Creates a clock that shows this time now.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        Self {
            start: now,
            since: Instant::now(),
        }
    }

    /// Creates a clock that shows this time now, given in the format of RFC 3339: `2026-03-01T03:59:00Z`.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if `now` is not such a time.
    ///
    /// ```
    /// use microagent_testing::VirtualClock;
    ///
    /// let error = VirtualClock::at("tomorrow").unwrap_err();
    /// assert!(error.to_string().starts_with("invalid time `tomorrow`: expected RFC 3339, such as `2026-03-01T03:59:00Z`"));
    /// ```
    pub fn at(now: &str) -> Result<Self> {
        let parsed: jiff::Timestamp = now.parse().map_err(|error| {
            let text = format!(
                "invalid time `{now}`: expected RFC 3339, such as `2026-03-01T03:59:00Z`: {error}"
            );
            Error::new(ErrorKind::Configuration, text)
        })?;
        Ok(Self::new(parsed.into()))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> SystemTime {
        self.start + self.since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_advances_with_tokio_s_clock() {
        let clock = VirtualClock::at("2026-03-01T00:00:00+01:00").unwrap();
        let start = jiff::Timestamp::try_from(clock.now()).unwrap();
        assert_eq!(start.to_string(), "2026-02-28T23:00:00Z");
        tokio::time::advance(Duration::from_secs(3600)).await;
        let later = jiff::Timestamp::try_from(clock.now()).unwrap();
        assert_eq!(later.to_string(), "2026-03-01T00:00:00Z");
    }
}
