//! The options of cron tasks.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Form, HandlerOptions, OnFailure, Once, OptionError, Overlap, RetryPolicy,
    failures::{AFTER_RUNS, NOTHING_TO_DECODE},
    rules,
    setters::setters,
    values,
};
use crate::CronSpec;

/// The options of a cron task.
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::{CronOptions, WhenUnknown, Once, Overlap};
///
/// let options = CronOptions::at("0 3 * * mon-fri")
///     .tz("Europe/Berlin")
///     .timeout(Duration::from_secs(600))
///     .overlap(Overlap::Skip)
///     .once(Once::default().crashed(WhenUnknown::Run));
/// assert_eq!(options.cron, "0 3 * * mon-fri");
/// assert!(options.retry.delays().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "CronOptions::without_schedule", deny_unknown_fields)]
#[non_exhaustive]
pub struct CronOptions {
    /// The schedule in five fields, or a nickname such as `@daily`.
    pub cron: Cow<'static, str>,
    /// The longest duration of one run. Default: 1 s.
    #[serde(with = "values::seconds")]
    pub timeout: Duration,
    /// The IANA name of the zone whose clock the schedule follows. Default: the zone of the agent,
    /// which is UTC if its settings do not set one.
    pub tz: Option<Cow<'static, str>>,
    /// The reaction if the last run is still in progress. Default: both run.
    pub overlap: Overlap,
    /// Each run starts up to this much later, at random; less than a day. Default: 0 s.
    #[serde(with = "values::seconds")]
    pub jitter: Duration,
    /// The choice of one of the agent's replicas at each instant. Default:
    /// all replicas run.
    #[serde(deserialize_with = "values::switch")]
    pub once: Option<Once>,
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

impl CronOptions {
    /// Creates options with this schedule. It is checked when the agent starts; `#[cron]` checks it
    /// at compile time.
    #[must_use]
    pub fn at(schedule: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cron: schedule.into(),
            timeout: Duration::from_secs(1),
            tz: None,
            overlap: Overlap::default(),
            jitter: Duration::ZERO,
            once: None,
            retry: RetryPolicy::never(),
            on_error: OnFailure::Retry,
            on_timeout: OnFailure::Retry,
            on_panic: OnFailure::Retry,
        }
    }

    /// Sets [`tz`](Self::tz).
    #[must_use]
    pub fn tz(mut self, zone: impl Into<Cow<'static, str>>) -> Self {
        self.tz = Some(zone.into());
        self
    }

    /// Sets [`once`](Self::once).
    #[must_use]
    pub fn once(mut self, once: Once) -> Self {
        self.once = Some(once);
        self
    }

    /// Reports a missing schedule as an empty one.
    fn without_schedule() -> Self {
        Self::at("")
    }
}

setters! {
    CronOptions {
        timeout: Duration,
        overlap: Overlap,
        jitter: Duration,
        retry: RetryPolicy,
        on_error: OnFailure,
        on_timeout: OnFailure,
        on_panic: OnFailure,
    }
}

impl HandlerOptions for CronOptions {
    const ATTRIBUTE: &'static str = "cron";

    const OPTIONS: &'static [(&'static str, Form)] = &[
        (
            "cron",
            Form::Text("a schedule of five fields, such as `0 */4 * * *`,"),
        ),
        ("timeout", Form::Time),
        (
            "tz",
            Form::Text("the name of a time zone, such as `Europe/Berlin`,"),
        ),
        ("overlap", Overlap::FORM),
        ("jitter", Form::Time),
        ("once", Once::FORM),
        ("retry", Form::Times),
        ("on_error", Form::Word(AFTER_RUNS)),
        ("on_timeout", Form::Word(AFTER_RUNS)),
        ("on_panic", Form::Word(AFTER_RUNS)),
    ];

    const ABSENT: &'static [(&'static str, &'static str)] = &[NOTHING_TO_DECODE];

    fn violations(&self) -> Vec<OptionError> {
        let schedule = CronSpec::parse(&self.cron).err();
        let violations = [
            schedule.map(|error| OptionError::of("cron", error)),
            rules::positive("timeout", self.timeout),
            rules::jitter(self.jitter, None),
            rules::no_dead_letters("on_error", self.on_error),
            rules::no_dead_letters("on_timeout", self.on_timeout),
            rules::no_dead_letters("on_panic", self.on_panic),
        ];
        violations.into_iter().flatten().collect()
    }
}
