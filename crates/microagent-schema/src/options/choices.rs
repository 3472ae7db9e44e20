//! The choices that handlers have: what to drop, what to do beside a run, what to do when in doubt.

use serde::{Deserialize, Serialize};

use super::{Form, Words};

/// What a receiver does with a signal for which its buffer has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// Drops the signal that has waited longest.
    #[default]
    DropOldest,
    /// Drops the signal that has just come.
    DropNewest,
}

impl Overflow {
    pub(super) const FORM: Form =
        Form::Word(Words::of("Overflow", &["drop_oldest", "drop_newest"]));
}

/// What happens when a schedule fires while its last run is still going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Both run, as documented: each run is independent.
    #[default]
    Allow,
    /// The new run is left out and counted.
    Skip,
    /// The new run starts when the last one ends. At most one waits: a newer one takes its place,
    /// and the one that it replaces is left out and counted.
    Queue,
}

impl Overlap {
    pub(super) const FORM: Form = Form::Word(Words::of("Overlap", &["allow", "skip", "queue"]));
}

/// What is done where it cannot be known whether another replica runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Rather no run than two.
    #[default]
    Skip,
    /// Rather two runs than none.
    Run,
}

const DOUBTS: Words = Words::of("Doubt", &["skip", "run"]);

/// How the replicas of a cron task agree that one of them runs at each instant. They do so by leases
/// of the broker, which are named by the agent's type, the handler and the instant, so that their
/// clocks may differ by 5 minutes.
///
/// ```
/// use microagent_schema::{CronOptions, Doubt, Once};
///
/// let once = Once::default().crashed(Doubt::Run);
/// let options = CronOptions::at("@daily").once(once);
/// assert_eq!(options.once.map(|once| once.unavailable), Some(Doubt::Skip));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Once {
    /// What follows when the replica that has the instant dies before its run has ended. With `skip`
    /// nobody runs; with `run` another replica runs when the first one cannot run any longer, which is
    /// a bit more than the timeout after its start. Default: `skip`.
    pub crashed: Doubt,
    /// What follows when the broker cannot be asked. With `skip` nobody runs; with `run` each replica
    /// that cannot ask runs. Default: `skip`.
    pub unavailable: Doubt,
}

impl Once {
    pub(super) const FORM: Form = Form::Choices {
        of: "Once",
        choices: &[("crashed", DOUBTS), ("unavailable", DOUBTS)],
    };

    /// Sets [`crashed`](Self::crashed).
    #[must_use]
    pub fn crashed(mut self, doubt: Doubt) -> Self {
        self.crashed = doubt;
        self
    }

    /// Sets [`unavailable`](Self::unavailable).
    #[must_use]
    pub fn unavailable(mut self, doubt: Doubt) -> Self {
        self.unavailable = doubt;
        self
    }
}
