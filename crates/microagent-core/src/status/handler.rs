//! The part of a status about one handler.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::format;
use crate::stats::DURATION_BOUNDS;

/// A handler of an agent with one of its sources.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// The method.
    pub name: String,
    /// Its kind, as in the log.
    pub kind: HandlerKind,
    /// The name of the signal or queue; the schedule of a cron task, the period of a periodic task.
    pub source: String,
    /// The signals, deliveries or fires that came for it.
    pub received: u64,
    /// The runs that succeeded.
    pub done: u64,
    /// The runs that returned an error.
    pub failed: u64,
    /// The runs that were cut off by their timeout.
    pub timed_out: u64,
    /// The runs that panicked.
    pub panicked: u64,
    /// The payloads that did not fit the handler.
    pub undecodable: u64,
    /// The signals that found no room, the calls whose caller had stopped waiting, the fires that were left out, and the
    /// runs that were cut off at the end of the grace period.
    pub dropped: u64,
    /// The failed runs that are followed by another one.
    pub retried: u64,
    /// The messages that became dead letters.
    pub dead_lettered: u64,
    /// The messages that went back to their queue without a run, or with a run that was cut off.
    pub returned: u64,
    /// The deliveries that were not the first of their message.
    pub redelivered: u64,
    /// The runs that go on.
    pub running: u64,
    /// The begins of the runs that go on, the oldest first; at most ten.
    #[serde(with = "format::time_list", default)]
    pub running_since: Vec<SystemTime>,
    /// The signals, deliveries or fires that wait for a run to end.
    pub waiting: u64,
    /// The number of runs that may go on at the same time; `None` without a limit.
    pub limit: Option<u64>,
    /// The durations of the runs that have ended.
    pub durations: Durations,
    /// The end of the last run that succeeded.
    #[serde(with = "format::time_option", default)]
    pub last_success: Option<SystemTime>,
    /// The last failure. It stays after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// The kind of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HandlerKind {
    /// A receiver of a signal.
    Signal,
    /// A consumer of a queue.
    Queue,
    /// A periodic task.
    Periodic,
    /// A cron task.
    Cron,
}

/// The last failure of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastError {
    /// When it failed.
    #[serde(with = "format::time")]
    pub at: SystemTime,
    /// The text of the error, of the panic or of the timeout; long texts are shortened.
    pub text: String,
}

/// A histogram of the durations of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Durations {
    /// The number of runs in each bucket of [`duration_bounds`], and at the end of those that took longer than all bounds.
    /// A run belongs to the first bucket whose bound it does not exceed; the numbers are not cumulative.
    pub counts: Vec<u64>,
    /// The sum of all durations.
    #[serde(with = "format::seconds")]
    pub sum: Duration,
}

impl HandlerKind {
    /// Returns the kind as in JSON, in logs and in metrics: `queue`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Queue => "queue",
            Self::Periodic => "periodic",
            Self::Cron => "cron",
        }
    }
}

impl fmt::Display for HandlerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the upper bounds of the buckets of [`Durations`]: from 1 ms to 60 s. They are the same in every
/// [version](super::STATUS_VERSION) 1.
#[must_use]
pub fn duration_bounds() -> &'static [Duration] {
    &DURATION_BOUNDS
}

impl Durations {
    /// Returns the number of runs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the duration that this share of the runs did not exceed, such as 0.99; `None` without runs. It is
    /// interpolated within its bucket, as Prometheus does, and it is 60 s if it lies beyond all bounds.
    ///
    /// ```
    /// use microagent_core::status::Durations;
    ///
    /// let durations: Durations = serde_json::from_str(r#"{"counts": [90, 10], "sum": 0.1}"#)?;
    /// assert_eq!(durations.quantile(0.5).unwrap().as_micros(), 555);
    /// assert_eq!(durations.quantile(0.95).unwrap().as_micros(), 1_750);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a quantile of a histogram is an estimate"
    )]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = share.clamp(0.0, 1.0) * count as f64;
        let (mut below, mut lower) = (0_u64, Duration::ZERO);
        for (bound, in_bucket) in duration_bounds().iter().zip(&self.counts) {
            if *in_bucket > 0 && (below + in_bucket) as f64 >= rank {
                let part = (rank - below as f64) / *in_bucket as f64;
                return Some(lower + (*bound - lower).mul_f64(part.clamp(0.0, 1.0)));
            }
            below += in_bucket;
            lower = *bound;
        }
        Some(lower)
    }

    /// Returns the runs since an earlier status of the same agent, for a rate or the quantiles of the last seconds.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(before);
        Self {
            counts: counts
                .map(|(now, before)| now.saturating_sub(before))
                .collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }
}
