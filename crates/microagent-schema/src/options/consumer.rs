//! The options of consumers.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    DeadLetter, Form, HandlerOptions, OnFailure, OptionError, RetryPolicy,
    failures::AFTER_MESSAGES, rules, setters::setters, values,
};

/// The options of a consumer.
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::{ConsumerOptions, OnFailure, RetryPolicy};
///
/// let options = ConsumerOptions::default()
///     .concurrency(4)
///     .retry(RetryPolicy::after([Duration::from_secs(60)]))
///     .on_timeout(OnFailure::DeadLetter)
///     .dead_letter("lost_mails");
/// assert_eq!(options.effective_prefetch(), 8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerOptions {
    /// The longest duration of one run. Default: 60 s.
    #[serde(with = "values::seconds")]
    pub timeout: Duration,
    /// The number of runs at the same time; at least 1. Default: 16.
    #[serde(deserialize_with = "values::count")]
    pub concurrency: usize,
    /// The number of messages in flight, running ones included; at least `concurrency`. Default:
    /// 2 × `concurrency`.
    #[serde(deserialize_with = "values::optional_count")]
    pub prefetch: Option<usize>,
    /// `true`: the handler's result settles the message. `false`: the handler takes the `Delivery`
    /// and settles it. Default: true.
    pub autoack: bool,
    /// When a failed message is delivered again. Default: after 1, 4 and 9 s.
    pub retry: RetryPolicy,
    /// Each retry comes up to this much later, at random, so that messages that failed together do
    /// not come back together. Default: 0 s.
    #[serde(with = "values::seconds")]
    pub retry_jitter: Duration,
    /// The reaction to an error. Default: retry.
    pub on_error: OnFailure,
    /// The reaction to a timeout. Default: retry.
    pub on_timeout: OnFailure,
    /// The reaction to a panic. Default: retry.
    pub on_panic: OnFailure,
    /// The reaction to a message that the handler cannot decode. Default: a dead letter at once,
    /// because another try finds the same.
    pub on_undecodable: OnFailure,
    /// The queue of its dead letters. Default: the queue `{queue}.dead`.
    #[serde(skip_serializing_if = "DeadLetter::is_own_queue")]
    pub dead_letter: DeadLetter,
    /// After how many deaths of its consumers a message becomes a dead letter; at least 1. Default: 3.
    #[serde(deserialize_with = "values::small_count")]
    pub max_crashes: u32,
    /// Options of the driver, by name; the driver refuses those that it does not know. Default: none.
    #[serde(deserialize_with = "values::texts")]
    pub driver: BTreeMap<String, String>,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 16,
            prefetch: None,
            autoack: true,
            retry: RetryPolicy::default(),
            retry_jitter: Duration::ZERO,
            on_error: OnFailure::Retry,
            on_timeout: OnFailure::Retry,
            on_panic: OnFailure::Retry,
            on_undecodable: OnFailure::DeadLetter,
            dead_letter: DeadLetter::default(),
            max_crashes: 3,
            driver: BTreeMap::new(),
        }
    }
}

setters! {
    ConsumerOptions {
        timeout: Duration,
        concurrency: usize,
        autoack: bool,
        retry: RetryPolicy,
        retry_jitter: Duration,
        on_error: OnFailure,
        on_timeout: OnFailure,
        on_panic: OnFailure,
        on_undecodable: OnFailure,
        max_crashes: u32,
    }
}

impl ConsumerOptions {
    /// Sets [`prefetch`](Self::prefetch).
    #[must_use]
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.prefetch = Some(messages);
        self
    }

    /// Sets [`dead_letter`](Self::dead_letter), by the name of a queue or `none` too.
    #[must_use]
    pub fn dead_letter(mut self, dead_letter: impl Into<DeadLetter>) -> Self {
        self.dead_letter = dead_letter.into();
        self
    }

    /// Adds an option of the [`driver`](Self::driver).
    #[must_use]
    pub fn driver(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.driver.insert(name.into(), value.into());
        self
    }

    /// Returns how many messages may be in flight: at least as many as can run.
    #[must_use]
    pub fn effective_prefetch(&self) -> usize {
        self.prefetch
            .unwrap_or(self.concurrency.saturating_mul(2))
            .max(self.concurrency)
    }

    fn too_small_prefetch(&self) -> Option<OptionError> {
        let prefetch = self
            .prefetch
            .filter(|prefetch| *prefetch < self.concurrency)?;
        let concurrency = self.concurrency;
        let message = format!(
            "{prefetch} is less than `concurrency`, which is {concurrency}: every running handler has a \
             message in flight; at least {concurrency} is allowed, or a smaller `concurrency`"
        );
        Some(OptionError::of("prefetch", message).and("concurrency"))
    }
}

impl HandlerOptions for ConsumerOptions {
    const ATTRIBUTE: &'static str = "consumer";

    const OPTIONS: &'static [(&'static str, Form)] = &[
        ("timeout", Form::Time),
        ("concurrency", Form::Count),
        ("prefetch", Form::Count),
        ("autoack", Form::Flag),
        ("retry", Form::Times),
        ("retry_jitter", Form::Time),
        ("on_error", Form::Word(AFTER_MESSAGES)),
        ("on_timeout", Form::Word(AFTER_MESSAGES)),
        ("on_panic", Form::Word(AFTER_MESSAGES)),
        ("on_undecodable", Form::Word(AFTER_MESSAGES)),
        ("dead_letter", Form::Text("the name of a queue, or `none`,")),
        ("max_crashes", Form::Count),
        ("driver", Form::Texts),
    ];

    const OF_ATTRIBUTE: &'static [(&'static str, &'static str)] = &[(
        "autoack",
        "it decides whether the handler takes the `Delivery`",
    )];

    fn violations(&self) -> Vec<OptionError> {
        let violations = [
            rules::positive("timeout", self.timeout),
            rules::at_least_one("concurrency", self.concurrency),
            self.prefetch
                .and_then(|prefetch| rules::at_least_one("prefetch", prefetch))
                .or_else(|| self.too_small_prefetch()),
            self.dead_letter.violation(),
            rules::at_least_one("max_crashes", self.max_crashes as usize),
        ];
        violations.into_iter().flatten().collect()
    }
}
