//! `restart = { policy, max, within }`: what becomes of a member that has ended. It counts nothing; the group does.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{node::Node, problems::SettingsError, section::Section};

const KEYS: &[&str] = &["policy", "max", "within"];

/// Whether and how often a member is started again.
///
/// A member that falls is started again after 1 s, then after 2, 4 … 60 s, each a little shorter by chance so that
/// a group does not come back at one instant. One that falls once more than `max` times within `within` is given up,
/// and the group ends with a failure.
///
/// ```
/// use marun::{Restart, RestartPolicy};
///
/// let restart = Restart::default();
/// assert_eq!(restart.policy, RestartPolicy::Never);
/// assert_eq!((restart.max, restart.within.as_secs()), (10, 600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// Which ends are followed by a new start.
    pub policy: RestartPolicy,
    /// How many restarts after a failure are made before the member is given up.
    pub max: u32,
    /// The time in which these restarts are counted.
    #[serde(serialize_with = "as_seconds")]
    pub within: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::Never,
            max: 10,
            within: Duration::from_secs(600),
        }
    }
}

/// Which ends of a member are followed by a new start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// None: the group ends when the member does.
    Never,
    /// A failure; where the member ends by itself without one, the group ends.
    OnFailure,
    /// Every end.
    Always,
}

impl RestartPolicy {
    /// Every policy, by its word in settings.
    const WORDS: [(&str, Self); 3] = [
        ("never", Self::Never),
        ("on_failure", Self::OnFailure),
        ("always", Self::Always),
    ];
}

impl Restart {
    pub(super) fn from_node(node: Node) -> Result<Self, SettingsError> {
        let mut section = Section::open(node, KEYS)?;
        let policy = section.one_of("policy", &RestartPolicy::WORDS);
        let default = Self::default();
        let max = section.count("max");
        let within = section.duration("within");
        if within == Some(Duration::ZERO) {
            let message =
                "`within` must be longer than 0: it is the time in which restarts are counted";
            let error = section.place().error(message);
            section.keep::<()>(Err(error));
        }
        section.finish(policy.map(|policy| Self {
            policy,
            max: max.unwrap_or(default.max),
            within: within.unwrap_or(default.within),
        }))
    }
}

fn as_seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}
