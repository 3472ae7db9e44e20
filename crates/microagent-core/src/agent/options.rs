//! The options of receivers and consumers, with the defaults that the documentation of MicroAgent gives.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::failures::{DeadLetter, FailurePolicy, OnFailure, RetryPolicy, failure_options};

/// What a receiver does with a signal for which its buffer has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overflow {
    /// Forget the signal that has waited longest.
    #[default]
    DropOldest,
    /// Forget the signal that has just come.
    DropNewest,
}

/// The options of a receiver.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::ReceiverOptions;
///
/// let options = ReceiverOptions::default().timeout(Duration::from_secs(30)).buffer(64);
/// assert_eq!(options, ReceiverOptions { timeout: Duration::from_secs(30), buffer: 64, ..Default::default() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverOptions {
    /// How long one run of the handler may take [60 s].
    pub timeout: Duration,
    /// How many runs there may be at a time \[256\].
    pub concurrency: usize,
    /// How many signals may wait for a run \[1024\].
    pub buffer: usize,
    /// What happens to a signal beyond that.
    pub overflow: Overflow,
    /// After which failures the handler runs again [none of them lets it, for there are no retries]. A call is
    /// answered when the last run has ended.
    pub failures: FailurePolicy,
    /// When it runs again [never].
    pub retry: RetryPolicy,
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 256,
            buffer: 1024,
            overflow: Overflow::default(),
            failures: FailurePolicy::RUNS,
            retry: RetryPolicy::never(),
        }
    }
}

impl ReceiverOptions {
    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`concurrency`](Self::concurrency); at least 1.
    #[must_use]
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs.max(1);
        self
    }

    /// Sets [`buffer`](Self::buffer).
    #[must_use]
    pub fn buffer(mut self, signals: usize) -> Self {
        self.buffer = signals;
        self
    }

    /// Sets [`overflow`](Self::overflow).
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets what follows a signal that is not what the handler asks for.
    #[must_use]
    pub fn on_undecodable(mut self, follows: OnFailure) -> Self {
        self.failures.undecodable = follows;
        self
    }
}

/// The options of a consumer.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::{ConsumerOptions, DeadLetter, OnFailure, RetryPolicy};
///
/// let options = ConsumerOptions::default()
///     .concurrency(4)
///     .retry(RetryPolicy::after([Duration::from_secs(60)]))
///     .on_timeout(OnFailure::DeadLetter)
///     .dead_letter(DeadLetter::Queue("lost_mails".into()));
/// assert_eq!(options.effective_prefetch(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How long one run of the handler may take [60 s].
    pub timeout: Duration,
    /// How many runs there may be at a time \[16\].
    pub concurrency: usize,
    /// How many messages may be out of the queue, running ones included [2 × concurrency].
    pub prefetch: Option<usize>,
    /// Whether the handler's result settles the message [true]; otherwise the handler takes the
    /// [`Delivery`](crate::Delivery) and settles it.
    pub autoack: bool,
    /// What follows each kind of failure [retry, and a dead letter at once for what cannot be decoded].
    pub failures: FailurePolicy,
    /// When a message is delivered again that is to be retried [after 1, 4 and 9 s].
    pub retry: RetryPolicy,
    /// Where a message goes that cannot be handled.
    pub dead_letter: DeadLetter,
    /// After how many deaths of its consumers a message is parked \[3\].
    pub max_crashes: u32,
    /// Options of the driver, by name.
    pub native: BTreeMap<String, String>,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 16,
            prefetch: None,
            autoack: true,
            failures: FailurePolicy::MESSAGES,
            retry: RetryPolicy::default(),
            dead_letter: DeadLetter::default(),
            max_crashes: 3,
            native: BTreeMap::new(),
        }
    }
}

impl ConsumerOptions {
    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`concurrency`](Self::concurrency); at least 1.
    #[must_use]
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.concurrency = runs.max(1);
        self
    }

    /// Sets [`prefetch`](Self::prefetch).
    #[must_use]
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.prefetch = Some(messages);
        self
    }

    /// Sets [`autoack`](Self::autoack).
    #[must_use]
    pub fn autoack(mut self, autoack: bool) -> Self {
        self.autoack = autoack;
        self
    }

    /// Sets what follows a payload that is not what the handler asks for.
    #[must_use]
    pub fn on_undecodable(mut self, follows: OnFailure) -> Self {
        self.failures.undecodable = follows;
        self
    }

    /// Sets [`dead_letter`](Self::dead_letter).
    #[must_use]
    pub fn dead_letter(mut self, dead_letter: DeadLetter) -> Self {
        self.dead_letter = dead_letter;
        self
    }

    /// Sets [`max_crashes`](Self::max_crashes); at least 1.
    #[must_use]
    pub fn max_crashes(mut self, crashes: u32) -> Self {
        self.max_crashes = crashes.max(1);
        self
    }

    /// Adds an option of the driver, which refuses those that it does not know.
    #[must_use]
    pub fn native(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.native.insert(name.into(), value.into());
        self
    }

    /// The prefetch that is used: as many messages out of the queue as can run, at least.
    #[must_use]
    pub fn effective_prefetch(&self) -> usize {
        self.prefetch
            .unwrap_or(2 * self.concurrency)
            .max(self.concurrency)
    }
}

failure_options!(ReceiverOptions, ConsumerOptions);
