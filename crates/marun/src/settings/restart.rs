//! `restart = { policy, max, within }`: the restart policy of a member.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{node::Node, problems::SettingsError, section::Section};

const KEYS: &[&str] = &["policy", "max", "within"];

/// The restart policy of a member: after which ends it is restarted, and how often.
///
/// A member that fails is restarted after 1 s, then after 2, 4 … 60 s. Each pause is reduced by a
/// random part, so that the members of a group do not restart at the same time. If a member fails
/// more than `max` times within `within`, the group ends with a failure.
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
    /// The ends after which the member is restarted.
    pub policy: RestartPolicy,
    /// The maximum number of restarts after failures. Default: 10.
    pub max: u32,
    /// The time in which these restarts are counted. Default: 600 s.
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

/// The ends after which a member is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// No restart: the group ends when the member ends.
    Never,
    /// After a failure. If the member ends without a failure, the group ends.
    OnFailure,
    /// After every end.
    Always,
}

impl RestartPolicy {
    /// All policies, by their names in settings.
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
