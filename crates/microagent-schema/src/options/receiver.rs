//! The options of receivers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Form, HandlerOptions, OnFailure, OptionError, Overflow, RetryPolicy, failures::AFTER_RUNS,
    rules, setters::setters, values,
};

/// The options of a receiver.
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::ReceiverOptions;
///
/// let options = ReceiverOptions::default().timeout(Duration::from_secs(30)).buffer(64);
/// assert_eq!(options, ReceiverOptions { timeout: Duration::from_secs(30), buffer: 64, ..Default::default() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverOptions {
    /// The longest duration of one run. Default: 60 s.
    #[serde(with = "values::seconds")]
    pub timeout: Duration,
    /// The number of runs at the same time; at least 1. Default: 256.
    #[serde(deserialize_with = "values::count")]
    pub concurrency: usize,
    /// The number of signals that may wait for a run. Default: 1024.
    #[serde(deserialize_with = "values::count")]
    pub buffer: usize,
    /// The signal that is dropped when the buffer is full. Default: the oldest.
    pub overflow: Overflow,
    /// When the handler runs again after a failure. It keeps its place meanwhile, and a call is
    /// answered when the last run has ended. Default: never.
    pub retry: RetryPolicy,
    /// The reaction to an error: retry or drop. Default: retry.
    pub on_error: OnFailure,
    /// The reaction to a timeout: retry or drop. Default: retry.
    pub on_timeout: OnFailure,
    /// The reaction to a panic: retry or drop. Default: retry.
    pub on_panic: OnFailure,
    /// The reaction to a signal that the handler cannot decode: retry or drop. Default: drop.
    pub on_undecodable: OnFailure,
}

impl Default for ReceiverOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            concurrency: 256,
            buffer: 1024,
            overflow: Overflow::default(),
            retry: RetryPolicy::never(),
            on_error: OnFailure::Retry,
            on_timeout: OnFailure::Retry,
            on_panic: OnFailure::Retry,
            on_undecodable: OnFailure::Drop,
        }
    }
}

setters! {
    ReceiverOptions {
        timeout: Duration,
        concurrency: usize,
        buffer: usize,
        overflow: Overflow,
        retry: RetryPolicy,
        on_error: OnFailure,
        on_timeout: OnFailure,
        on_panic: OnFailure,
        on_undecodable: OnFailure,
    }
}

impl HandlerOptions for ReceiverOptions {
    const ATTRIBUTE: &'static str = "receiver";

    const OPTIONS: &'static [(&'static str, Form)] = &[
        ("timeout", Form::Time),
        ("concurrency", Form::Count),
        ("buffer", Form::Count),
        ("overflow", Overflow::FORM),
        ("retry", Form::Times),
        ("on_error", Form::Word(AFTER_RUNS)),
        ("on_timeout", Form::Word(AFTER_RUNS)),
        ("on_panic", Form::Word(AFTER_RUNS)),
        ("on_undecodable", Form::Word(AFTER_RUNS)),
    ];

    fn violations(&self) -> Vec<OptionError> {
        let violations = [
            rules::positive("timeout", self.timeout),
            rules::at_least_one("concurrency", self.concurrency),
            rules::no_dead_letters("on_error", self.on_error),
            rules::no_dead_letters("on_timeout", self.on_timeout),
            rules::no_dead_letters("on_panic", self.on_panic),
            rules::no_dead_letters("on_undecodable", self.on_undecodable),
        ];
        violations.into_iter().flatten().collect()
    }
}
