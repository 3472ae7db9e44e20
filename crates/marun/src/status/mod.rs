//! The status of a group: what the launcher knows about the process of each member, and what each
//! agent says about itself.
//!
//! | file | content |
//! |---|---|
//! | `bus_view.rs` | the agents on a bus, and which of them do not answer |
//! | `path.rs` | the path of the group's socket |
//! | `verdict.rs` | the first line: what is wrong, since when, and what that means for signals and messages |
//! | `render.rs` | the tables |

mod bus_view;
mod path;
mod render;
mod verdict;

use std::time::{Duration, SystemTime};

use microagent_core::status::{Status, format};
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    bus_view::{BusView, PATIENCE as BUS_PATIENCE},
    path::{prepare, socket_path},
    render::render,
    verdict::is_ready,
};

/// The version of [`GroupStatus`].
pub(crate) const GROUP_STATUS_VERSION: u32 = 1;

/// The status of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupStatus {
    /// [`GROUP_STATUS_VERSION`] of the launcher.
    pub(crate) version: u32,
    /// When it was collected.
    #[serde(with = "format::time")]
    pub(crate) at: SystemTime,
    /// The launcher; absent if the agents were asked over their bus.
    #[serde(flatten)]
    pub(crate) launcher: Option<LauncherFacts>,
    /// The bus over which the agents were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bus: Option<BusFacts>,
    /// The members, in the order of the settings; the agents of a bus by name.
    pub(crate) members: Vec<MemberStatus>,
    /// The last log lines of the launcher, or what was seen of the agents of a bus, the newest last.
    pub(crate) events: Vec<GroupEvent>,
}

/// The launcher of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LauncherFacts {
    pub(crate) launcher_pid: u32,
    pub(crate) launcher_version: String,
    /// When the launcher was started.
    #[serde(with = "format::time")]
    pub(crate) started: SystemTime,
}

/// The bus over which agents were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BusFacts {
    /// The DSN without credentials.
    pub(crate) address: String,
    pub(crate) prefix: String,
    /// False if the bus does not list its agents: those that do not answer are missing.
    pub(crate) complete: bool,
    /// Why the bus cannot be used at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// A member: its process, as the launcher sees it, and the status of its agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MemberStatus {
    pub(crate) name: String,
    /// The name that tells it apart from others of its name; absent if no other one has the name.
    #[serde(skip)]
    pub(crate) label: Option<String>,
    /// The machine of an agent that was asked over its bus; empty if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// False for a `command`, which has no status.
    pub(crate) is_agent: bool,
    /// The state of its process: `pending`, `starting`, `ready`, `blocked`, `failing`, `stopping`, `killed`,
    /// `backoff` or `ended`. Of an agent that was asked over its bus: `connected`, or `joining` if it was asked a moment ago
    /// and has not answered.
    pub(crate) state: String,
    #[serde(with = "format::time")]
    pub(crate) since: SystemTime,
    pub(crate) pid: Option<u32>,
    /// The age of its process in seconds.
    #[serde(with = "format::seconds_option")]
    pub(crate) age: Option<Duration>,
    /// The starts after the first; absent if only a launcher could know them.
    pub(crate) restarts: Option<u32>,
    /// The memory that its process has in RAM; absent if the system does not say.
    pub(crate) memory_bytes: Option<u64>,
    /// The end of its last process.
    pub(crate) last_end: Option<String>,
    /// The agent's status; absent if it did not answer.
    pub(crate) status: Option<Status>,
    /// Why it did not answer.
    pub(crate) no_answer: Option<String>,
}

impl MemberStatus {
    /// Returns the name to show.
    pub(crate) fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

/// A log line of the launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupEvent {
    #[serde(with = "format::time")]
    pub(crate) at: SystemTime,
    pub(crate) level: String,
    pub(crate) text: String,
}

/// Returns the memory that a process has in RAM, as Linux shows it in `/proc`.
pub(crate) fn memory_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = kibibytes.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_has_memory() {
        assert!(memory_of(std::process::id()).unwrap() > 100_000);
        assert_eq!(memory_of(u32::MAX), None);
    }
}
