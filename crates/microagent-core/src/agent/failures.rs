//! What follows a failed run, in one vocabulary for all handlers.
//!
//! These are choices; what they make of an end of a run is decided in `dispatch::outcome`.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::Blueprint;
use crate::{DEAD_LETTER_SUFFIX, Error, ErrorKind, Queue, Result};

/// What follows a failure of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnFailure {
    /// It is tried again by the [`RetryPolicy`]; when that is used up, a message becomes a dead letter, and of others
    /// the failure stays in the log and the counters.
    Retry,
    /// The message becomes a dead letter at once. Only messages can.
    DeadLetter,
    /// It stays in the log and the counters; a message is removed.
    Drop,
}

/// What follows each kind of failure. An error that says itself what it wants ([`Error::terminal`](crate::Error::terminal),
/// [`ResultExt::retry_after`](crate::ResultExt::retry_after)) is heeded instead.
///
/// ```
/// use microagent_core::{ConsumerOptions, FailurePolicy, OnFailure};
///
/// let options = ConsumerOptions::default().on_panic(OnFailure::DeadLetter);
/// assert_eq!(options.failures, FailurePolicy { panic: OnFailure::DeadLetter, ..FailurePolicy::MESSAGES });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePolicy {
    /// The handler returned an error.
    #[serde(rename = "on_error")]
    pub error: OnFailure,
    /// It took longer than its timeout.
    #[serde(rename = "on_timeout")]
    pub timeout: OnFailure,
    /// It panicked.
    #[serde(rename = "on_panic")]
    pub panic: OnFailure,
    /// The payload is not what it asks for.
    #[serde(rename = "on_undecodable")]
    pub undecodable: OnFailure,
}

impl FailurePolicy {
    /// Of consumers: what cannot be decoded becomes a dead letter, for another try finds the same; the rest is tried again.
    pub const MESSAGES: Self = Self {
        error: OnFailure::Retry,
        timeout: OnFailure::Retry,
        panic: OnFailure::Retry,
        undecodable: OnFailure::DeadLetter,
    };

    /// Of receivers and schedules: as often as their [`RetryPolicy`] says, which is never unless it is told. What
    /// cannot be decoded is dropped; schedules decode nothing.
    pub const RUNS: Self = Self {
        undecodable: OnFailure::Drop,
        ..Self::MESSAGES
    };

    fn has_dead_letters(&self) -> bool {
        [self.error, self.timeout, self.panic, self.undecodable].contains(&OnFailure::DeadLetter)
    }
}

/// How manifests write it of schedules, which decode nothing.
pub(super) mod of_schedules {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{FailurePolicy, OnFailure};

    #[derive(Serialize, Deserialize)]
    struct OfSchedules {
        on_error: OnFailure,
        on_timeout: OnFailure,
        on_panic: OnFailure,
    }

    pub(crate) fn serialize<S: Serializer>(
        policy: &FailurePolicy,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        let written = OfSchedules {
            on_error: policy.error,
            on_timeout: policy.timeout,
            on_panic: policy.panic,
        };
        written.serialize(output)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<FailurePolicy, D::Error> {
        let written = OfSchedules::deserialize(input)?;
        Ok(FailurePolicy {
            error: written.on_error,
            timeout: written.on_timeout,
            panic: written.on_panic,
            ..FailurePolicy::RUNS
        })
    }
}

/// Refuses dead letters of what is no message, and those that nobody could find.
pub(super) fn check<A>(blueprint: &Blueprint<A>) -> Result<()> {
    for entry in &blueprint.consumers {
        let queue = entry.queue.name();
        let dead_letter = entry.options.dead_letter.of(queue);
        check_dead_letter(entry.name, queue, dead_letter.as_deref())?;
    }
    let receivers = blueprint.receivers.iter();
    let periodic = blueprint.periodic.iter();
    let cron = blueprint.cron.iter();
    let mut others = receivers
        .map(|entry| (entry.name, entry.options.failures))
        .chain(periodic.map(|entry| (entry.name, entry.options.failures)))
        .chain(cron.map(|entry| (entry.name, entry.options.failures)));
    let Some((name, _)) = others.find(|(_, failures)| failures.has_dead_letters()) else {
        return Ok(());
    };
    let text = format!(
        "handler `{name}`: a failure is to become a dead letter, which only a message of a queue can; \
         `retry` and `drop` are allowed here"
    );
    Err(Error::new(ErrorKind::Configuration, text))
}

/// Refuses a queue for dead letters that is the consumer's own, or that has no name which a queue can have.
pub(super) fn check_dead_letter(
    handler: &str,
    queue: &str,
    dead_letter: Option<&str>,
) -> Result<()> {
    let Some(dead_letter) = dead_letter else {
        return Ok(());
    };
    let wrong = if dead_letter == queue {
        "it would take them again, for ever".to_owned()
    } else {
        // A queue without a proper name is refused for that, where it is consumed.
        match (Queue::named(queue), Queue::named(dead_letter)) {
            (Ok(_), Err(error)) => error.to_string(),
            _ => return Ok(()),
        }
    };
    let text = format!(
        "handler `{handler}`: its dead letters would go from `{queue}` to `{dead_letter}`: {wrong}; \
         `dead_letter` names another queue, or is `none`"
    );
    Err(Error::new(ErrorKind::Configuration, text))
}

/// How often and when something that failed is tried again.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::RetryPolicy;
///
/// let policy = RetryPolicy::default();
/// assert_eq!(policy.delay_after(1), Some(Duration::from_secs(1)));
/// assert_eq!(policy.delay_after(3), Some(Duration::from_secs(9)));
/// assert_eq!(policy.delay_after(4), None); // four handlings, then dead letter
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    delays: Cow<'static, [Duration]>,
}

impl RetryPolicy {
    /// Retries after these delays, one after the other; then no more.
    #[must_use]
    pub fn after(delays: impl Into<Vec<Duration>>) -> Self {
        Self {
            delays: Cow::Owned(delays.into()),
        }
    }

    /// No retries.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            delays: Cow::Borrowed(&[]),
        }
    }

    /// The delays, one after the other.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// How long to wait after this attempt, counted from 1; `None` when it was the last.
    #[must_use]
    pub fn delay_after(&self, attempt: u32) -> Option<Duration> {
        let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.delays.get(index).copied()
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        const DELAYS: [Duration; 3] = [
            Duration::from_secs(1),
            Duration::from_secs(4),
            Duration::from_secs(9),
        ];
        Self {
            delays: Cow::Borrowed(&DELAYS),
        }
    }
}

/// Where a message goes that cannot be handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadLetter {
    /// To `{queue}.dead`.
    #[default]
    OwnQueue,
    /// To the queue of this name.
    Queue(Cow<'static, str>),
    /// Nowhere: it is dropped with an error in the log, as Python MicroAgent does.
    None,
}

impl DeadLetter {
    /// The queue that keeps what cannot be handled of this one.
    pub(crate) fn of(&self, queue: &str) -> Option<String> {
        match self {
            Self::OwnQueue => Some(format!("{queue}{DEAD_LETTER_SUFFIX}")),
            Self::Queue(name) => Some(name.clone().into_owned()),
            Self::None => None,
        }
    }
}

/// The setters that the options of all handlers have.
macro_rules! failure_options {
    ($($options:ty),+) => {$(
        impl $options {
            /// Sets [`retry`](Self::retry).
            #[must_use]
            pub fn retry(mut self, retry: RetryPolicy) -> Self {
                self.retry = retry;
                self
            }

            /// Sets what follows an error.
            #[must_use]
            pub fn on_error(mut self, follows: OnFailure) -> Self {
                self.failures.error = follows;
                self
            }

            /// Sets what follows a timeout.
            #[must_use]
            pub fn on_timeout(mut self, follows: OnFailure) -> Self {
                self.failures.timeout = follows;
                self
            }

            /// Sets what follows a panic.
            #[must_use]
            pub fn on_panic(mut self, follows: OnFailure) -> Self {
                self.failures.panic = follows;
                self
            }
        }
    )+};
}

pub(super) use failure_options;
