//! The options of periodic tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Form, HandlerOptions, OnFailure, OptionError, Overlap, RetryPolicy,
    failures::{AFTER_RUNS, NOTHING_TO_DECODE},
    rules,
    setters::setters,
    values,
};

/// The options of a periodic task.
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::{Overlap, PeriodicOptions};
///
/// let options = PeriodicOptions::every(Duration::from_secs(15)).overlap(Overlap::Skip);
/// assert!(options.retry.delays().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "PeriodicOptions::without_period", deny_unknown_fields)]
#[non_exhaustive]
pub struct PeriodicOptions {
    /// The time between two starts, on a fixed grid that does not drift.
    #[serde(with = "values::seconds")]
    pub period: Duration,
    /// The longest duration of one run. Default: 1 s.
    #[serde(with = "values::seconds")]
    pub timeout: Duration,
    /// The delay between the start of the agent and the first run. Default: 0 s.
    #[serde(with = "values::seconds")]
    pub start_after: Duration,
    /// The reaction if the last run is still in progress. Default: both run.
    pub overlap: Overlap,
    /// Each run starts up to this much later, at random; less than the period and than a day. The
    /// grid stays where it is. Default: 0 s.
    #[serde(with = "values::seconds")]
    pub jitter: Duration,
    /// When the task runs again after a failure. With its retries it is one run to the overlap
    /// policy. Default: never.
    pub retry: RetryPolicy,
    /// The reaction to an error: retry or drop. Default: retry.
    pub on_error: OnFailure,
    /// The reaction to a timeout: retry or drop. Default: retry.
    pub on_timeout: OnFailure,
    /// The reaction to a panic: retry or drop. Default: retry.
    pub on_panic: OnFailure,
}

impl PeriodicOptions {
    /// Creates options with this period.
    #[must_use]
    pub fn every(period: Duration) -> Self {
        Self {
            period,
            timeout: Duration::from_secs(1),
            start_after: Duration::ZERO,
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            retry: RetryPolicy::never(),
            on_error: OnFailure::Retry,
            on_timeout: OnFailure::Retry,
            on_panic: OnFailure::Retry,
        }
    }

    /// Reports a missing period as one that is too short.
    fn without_period() -> Self {
        Self::every(Duration::ZERO)
    }
}

setters! {
    PeriodicOptions {
        timeout: Duration,
        start_after: Duration,
        overlap: Overlap,
        jitter: Duration,
        retry: RetryPolicy,
        on_error: OnFailure,
        on_timeout: OnFailure,
        on_panic: OnFailure,
    }
}

impl HandlerOptions for PeriodicOptions {
    const ATTRIBUTE: &'static str = "periodic";

    const OPTIONS: &'static [(&'static str, Form)] = &[
        ("period", Form::Time),
        ("timeout", Form::Time),
        ("start_after", Form::Time),
        ("overlap", Overlap::FORM),
        ("jitter", Form::Time),
        ("retry", Form::Times),
        ("on_error", Form::Word(AFTER_RUNS)),
        ("on_timeout", Form::Word(AFTER_RUNS)),
        ("on_panic", Form::Word(AFTER_RUNS)),
    ];

    const ABSENT: &'static [(&'static str, &'static str)] = &[
        NOTHING_TO_DECODE,
        (
            "once",
            "a periodic task counts from the start of its own process, so its replicas share no \
             instants; `once` is an option of `#[cron]`",
        ),
    ];

    fn violations(&self) -> Vec<OptionError> {
        let violations = [
            rules::positive("period", self.period),
            rules::positive("timeout", self.timeout),
            rules::jitter(self.jitter, Some(self.period)),
            rules::no_dead_letters("on_error", self.on_error),
            rules::no_dead_letters("on_timeout", self.on_timeout),
            rules::no_dead_letters("on_panic", self.on_panic),
        ];
        violations.into_iter().flatten().collect()
    }
}
