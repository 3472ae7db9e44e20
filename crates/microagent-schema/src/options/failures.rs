//! The reactions to a failed run, in one vocabulary for all handlers. The runtime decides which reaction
//! the end of a run causes.

use serde::{Deserialize, Serialize};

use super::Words;

/// The reaction to one kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is tried again by the [`RetryPolicy`](super::RetryPolicy). After the last retry a message
    /// becomes a dead letter; of other runs the failure stays in the log and the counters.
    Retry,
    /// The message becomes a dead letter at once. Only messages can.
    DeadLetter,
    /// It stays in the log and the counters; a message is removed.
    Drop,
}

/// The reactions to the failure of a message.
pub(super) const AFTER_MESSAGES: Words = Words::of("OnFailure", &["retry", "dead_letter", "drop"]);

/// The reactions to the failure of any other run.
pub(super) const AFTER_RUNS: Words = Words {
    of: "OnFailure",
    words: &["retry", "drop"],
    refused: Some((
        "dead_letter",
        "only a message of a queue can become a dead letter",
    )),
};

impl OnFailure {
    /// Returns the word in settings and attributes.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::DeadLetter => "dead_letter",
            Self::Drop => "drop",
        }
    }
}

/// Why schedules have no `on_undecodable`.
pub(super) const NOTHING_TO_DECODE: (&str, &str) = (
    "on_undecodable",
    "the runs of a schedule have no payload to decode",
);
