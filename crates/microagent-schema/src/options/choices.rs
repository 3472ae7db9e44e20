//! The choices that handlers have: what to drop, what to do beside a run, what to do when in doubt.

use serde::{Deserialize, Serialize};

use super::{Form, Words};

/// The choice of the signal that a receiver drops when its buffer is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// Drops the signal that has waited the longest.
    #[default]
    DropOldest,
    /// Drops the signal that has just arrived.
    DropNewest,
}

impl Overflow {
    pub(super) const FORM: Form =
        Form::Word(Words::of("Overflow", &["drop_oldest", "drop_newest"]));
}

/// The reaction if a schedule fires while its last run is still in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Both run, as documented: each run is independent.
    #[default]
    Allow,
    /// The new run is omitted and counted.
    Skip,
    /// The new run starts when the last one ends. At most one waits: a newer one takes its place,
    /// and the replaced run is omitted and counted.
    Queue,
}

impl Overlap {
    pub(super) const FORM: Form = Form::Word(Words::of("Overlap", &["allow", "skip", "queue"]));
}

/// The reaction if it is unknown whether another replica runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// Does not run, to avoid a second run.
    #[default]
    Skip,
    /// Runs, although another replica may have run.
    Run,
}

const WHEN_UNKNOWN: Words = Words::of("WhenUnknown", &["skip", "run"]);

/// The rules by which one replica of a cron task runs at each instant. Replicas agree by leases
/// of the broker, which are named by the agent's type, the handler and the instant, so that their
/// clocks may differ by 5 minutes.
///
/// ```
/// use microagent_schema::{CronOptions, WhenUnknown, Once};
///
/// let once = Once::default().crashed(WhenUnknown::Run);
/// let options = CronOptions::at("@daily").once(once);
/// assert_eq!(options.once.map(|once| once.unavailable), Some(WhenUnknown::Skip));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Once {
    /// The reaction if the replica with the lease of the instant dies before its run has ended. With `skip`
    /// no replica runs; with `run` another replica runs when the first one can no longer run, which is
    /// slightly later than the timeout after its start. Default: `skip`.
    pub crashed: WhenUnknown,
    /// The reaction if the broker does not answer. With `skip` no replica runs; with `run` each replica
    /// without an answer runs. Default: `skip`.
    pub unavailable: WhenUnknown,
}

impl Once {
    pub(super) const FORM: Form = Form::Choices {
        of: "Once",
        choices: &[("crashed", WHEN_UNKNOWN), ("unavailable", WHEN_UNKNOWN)],
    };

    /// Sets [`crashed`](Self::crashed).
    #[must_use]
    pub fn crashed(mut self, doubt: WhenUnknown) -> Self {
        self.crashed = doubt;
        self
    }

    /// Sets [`unavailable`](Self::unavailable).
    #[must_use]
    pub fn unavailable(mut self, doubt: WhenUnknown) -> Self {
        self.unavailable = doubt;
        self
    }
}
