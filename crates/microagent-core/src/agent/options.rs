//! The options of the attributes, with the defaults that the documentation of MicroAgent gives.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// What a receiver does with a signal for which its buffer has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// How many runs there may be at a time [256].
    pub concurrency: usize,
    /// How many signals may wait for a run [1024].
    pub buffer: usize,
    /// What happens to a signal beyond that.
    pub overflow: Overflow,
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 256,
            buffer: 1024,
            overflow: Overflow::default(),
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
}

/// How often and when a failed message is tried again.
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
    /// Retries after these delays, one after the other; when they are used up the message becomes a dead letter.
    #[must_use]
    pub fn after(delays: impl Into<Vec<Duration>>) -> Self {
        Self {
            delays: Cow::Owned(delays.into()),
        }
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

/// The options of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How long one run of the handler may take [60 s].
    pub timeout: Duration,
    /// How many runs there may be at a time [16].
    pub concurrency: usize,
    /// How many messages may be out of the queue, running ones included [2 × concurrency].
    pub prefetch: Option<usize>,
    /// Whether the handler's result settles the message [true]; otherwise the handler takes the
    /// [`Delivery`](crate::Delivery) and settles it.
    pub autoack: bool,
    /// What happens after a failure.
    pub retry: RetryPolicy,
    /// Where a message goes that cannot be handled.
    pub dead_letter: DeadLetter,
    /// After how many deaths of its consumers a message is parked [3].
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

    /// Sets [`retry`](Self::retry).
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
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
