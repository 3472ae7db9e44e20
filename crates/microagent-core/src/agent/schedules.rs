//! The options of periodic and cron tasks.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::failures::{FailurePolicy, OnFailure, RetryPolicy, failure_options};

/// What happens when a schedule fires while its last run is still going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// Both run, as documented: each run is independent.
    #[default]
    Allow,
    /// The new run is left out and counted.
    Skip,
    /// The new run starts when the last one ends. One waits at most: a newer one takes its place, and what it replaces
    /// is left out and counted.
    Queue,
}

/// What is done where it cannot be known whether another replica runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// Rather no run than two.
    #[default]
    Skip,
    /// Rather two runs than none.
    Run,
}

/// How the replicas of a cron task agree that one of them runs at each instant. They do so by leases of the broker,
/// which are named by the agent's type, the handler and the instant, so that their clocks may differ by 5 minutes.
///
/// ```
/// use microagent_core::{CronOptions, Doubt, Once};
///
/// let once = Once::default().crashed(Doubt::Run);
/// let options = CronOptions::at("@daily").once(once);
/// assert_eq!(options.once.map(|once| once.unavailable), Some(Doubt::Skip));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Once {
    /// The replica that has the instant dies before its run has ended \[skip\]: nobody runs, or another does when the
    /// first cannot run any more, which is a bit more than the timeout after its start.
    pub crashed: Doubt,
    /// The broker cannot be asked \[skip\]: nobody runs, or every replica that cannot ask does.
    pub unavailable: Doubt,
}

impl Once {
    /// Sets [`crashed`](Self::crashed).
    #[must_use]
    pub fn crashed(mut self, doubt: Doubt) -> Self {
        self.crashed = doubt;
        self
    }

    /// Sets [`unavailable`](Self::unavailable).
    #[must_use]
    pub fn unavailable(mut self, doubt: Doubt) -> Self {
        self.unavailable = doubt;
        self
    }
}

/// The options of a periodic task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeriodicOptions {
    /// The time between two starts; they stand on a grid and do not drift.
    pub period: Duration,
    /// How long one run may take [1 s].
    pub timeout: Duration,
    /// How long after the agent's start the first run starts [0 s].
    pub start_after: Duration,
    /// What happens when the last run is still going.
    pub overlap: Overlap,
    /// Each run starts up to this much later, at random [0 s]; less than the period and than a day. The grid
    /// stays where it is.
    pub jitter: Duration,
    /// After which failures it runs again [none of them lets it, for there are no retries]. With its retries it is one
    /// run to the overlap policy.
    pub failures: FailurePolicy,
    /// When it runs again [never].
    pub retry: RetryPolicy,
}

impl PeriodicOptions {
    /// Options with this period.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self {
            period,
            timeout: Duration::from_secs(1),
            start_after: Duration::ZERO,
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            failures: FailurePolicy::RUNS,
            retry: RetryPolicy::never(),
        }
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`start_after`](Self::start_after).
    #[must_use]
    pub fn start_after(mut self, delay: Duration) -> Self {
        self.start_after = delay;
        self
    }

    /// Sets [`overlap`](Self::overlap).
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets [`jitter`](Self::jitter).
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }
}

/// The options of a cron task.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::{CronOptions, Doubt, Once, Overlap};
///
/// let options = CronOptions::at("0 3 * * mon-fri")
///     .tz("Europe/Berlin")
///     .timeout(Duration::from_secs(600))
///     .overlap(Overlap::Skip)
///     .once(Once::default().crashed(Doubt::Run));
/// assert_eq!(options.spec, "0 3 * * mon-fri");
/// assert!(options.retry.delays().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CronOptions {
    /// The schedule in five fields, or a nickname such as `@daily`.
    pub spec: Cow<'static, str>,
    /// How long one run may take [1 s].
    pub timeout: Duration,
    /// The IANA name of the zone whose clock the schedule follows [that of the agent, which is UTC unless it is told].
    pub tz: Option<Cow<'static, str>>,
    /// What happens when the last run is still going.
    pub overlap: Overlap,
    /// Each run starts up to this much later, at random [0 s]; less than a day.
    pub jitter: Duration,
    /// Whether one of the agent's replicas runs at each instant [all do], and how they agree on it.
    pub once: Option<Once>,
    /// After which failures it runs again [none of them lets it, for there are no retries]. With its retries it is one
    /// run to the overlap policy.
    pub failures: FailurePolicy,
    /// When it runs again [never].
    pub retry: RetryPolicy,
}

impl CronOptions {
    /// Options with this schedule. It is checked when the agent starts; `#[cron]` checks it at compile time.
    #[must_use]
    pub fn at(spec: impl Into<Cow<'static, str>>) -> Self {
        Self {
            spec: spec.into(),
            timeout: Duration::from_secs(1),
            tz: None,
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            failures: FailurePolicy::RUNS,
            retry: RetryPolicy::never(),
            once: None,
        }
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`tz`](Self::tz).
    #[must_use]
    pub fn tz(mut self, zone: impl Into<Cow<'static, str>>) -> Self {
        self.tz = Some(zone.into());
        self
    }

    /// Sets [`overlap`](Self::overlap).
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Sets [`jitter`](Self::jitter).
    #[must_use]
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = most;
        self
    }

    /// Sets [`once`](Self::once).
    #[must_use]
    pub fn once(mut self, once: Once) -> Self {
        self.once = Some(once);
        self
    }
}

failure_options!(PeriodicOptions, CronOptions);
