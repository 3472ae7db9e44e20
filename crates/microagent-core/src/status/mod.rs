//! The status of an agent as data: what it is doing, since when, and what became of its work.
//!
//! [`Status`] is the only source of [`info()`](crate::Context::info), of `marun status` and of the metrics. It is versioned and
//! serializable: times are RFC 3339 text in UTC with milliseconds, durations are seconds. It has no payloads and no settings,
//! and addresses are without credentials. A [`StatusSource`] takes it, on any thread.

mod agent_id;
mod answering;
mod depths;
#[doc(hidden)]
pub mod format;
mod handler;
mod health;
mod round;
mod source;
mod take;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

pub use self::{
    agent_id::AgentId,
    handler::{Durations, HandlerKind, HandlerStatus, LastError, duration_bounds},
    source::{StatusSlot, StatusSource},
    watch::{AgentAnswer, STATUS_LEASE, StatusWatch, WatchEvent},
};
pub(crate) use self::{
    answering::answer_on_bus,
    format::seconds_option,
    health::{Health, Phase},
};
use crate::Depth;

/// The version of [`Status`]. Fields may be added without a new version; a field that is removed or changes its meaning
/// raises it.
pub const STATUS_VERSION: u32 = 1;

/// The status of one agent at one time.
///
/// Counters begin at 0 with the agent's start and never fall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// [`STATUS_VERSION`] of the program that the agent runs in.
    pub version: u32,
    /// The agent's name in its group.
    pub agent: String,
    /// The name of its type.
    pub agent_type: String,
    /// Its state.
    pub state: AgentState,
    /// When it entered the state.
    #[serde(with = "format::time")]
    pub since: SystemTime,
    /// The reason for a state other than ready, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the status was taken, by the clock of the agent's machine.
    #[serde(with = "format::time")]
    pub at: SystemTime,
    /// When the agent was started.
    #[serde(with = "format::time")]
    pub started: SystemTime,
    /// The time since the start.
    #[serde(with = "format::seconds")]
    pub uptime: Duration,
    /// The number of its process.
    pub pid: u32,
    /// The version of the crate that defines the agent; empty if it is not known.
    #[serde(default)]
    pub agent_version: String,
    /// The version of MicroAgent.
    pub microagent_version: String,
    /// The connection of its bus; `None` for an agent without one.
    pub bus: Option<ConnectionStatus>,
    /// The connection of its broker; `None` for an agent without one.
    pub broker: Option<ConnectionStatus>,
    /// The times in which its bus was disconnected.
    pub gaps: GapStatus,
    /// The number of signals on invalid channels, which all agents on the bus handle share.
    pub strays: u64,
    /// The calls that it made, which all agents on the bus handle share.
    pub calls: CallStatus,
    /// The signals that its bus sent, calls not included, which all agents on the bus handle share.
    #[serde(default)]
    pub signals_sent: RequestStatus,
    /// The messages that its broker sent, which all agents on the broker handle share.
    #[serde(default)]
    pub messages_sent: RequestStatus,
    /// Its handlers, one entry per handler and source, in the order of their definition within each kind.
    pub handlers: Vec<HandlerStatus>,
    /// The queues that it consumes.
    pub queues: Vec<QueueStatus>,
    /// Its schedules.
    pub schedules: Vec<ScheduleStatus>,
    /// The handlers of this process that have kept their thread for a second or longer without an `.await` that waits. While there
    /// are as many as threads, nothing else runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocking: Vec<BlockingHandler>,
}

/// The state of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentState {
    /// It is created, its hooks run, and its subscriptions and consumers are made.
    Starting,
    /// It receives and consumes, and its connections are up.
    Ready,
    /// It is live, and the connection of its bus is down.
    NoBus,
    /// It is live, and the connection of its broker is down.
    NoBroker,
    /// Its runtime did not come round to a request in time. Only [`StatusSource::ask`] finds that out.
    Blocked,
    /// It was asked to stop, and finishes its work.
    Draining,
    /// It has stopped.
    Stopped,
}

/// The state of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// The DSN without credentials.
    pub address: String,
    /// `false` if the server cannot be reached, as far as the driver knows; `None` if the driver does not report it.
    pub up: Option<bool>,
    /// When the connection came up or was lost.
    #[serde(with = "format::time_option", default)]
    pub since: Option<SystemTime>,
    /// The number of times that it came up again after a loss.
    pub reconnects: u64,
    /// Why it was lost last, or why the last attempt to connect failed. It stays after the connection came up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The gaps of a bus: times in which it was disconnected, and signals were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GapStatus {
    /// The number of gaps that have ended.
    pub count: u64,
    /// Their sum.
    #[serde(with = "format::seconds")]
    pub total: Duration,
    /// The end of the last one.
    #[serde(with = "format::time_option", default)]
    pub last: Option<SystemTime>,
}

/// The calls of a bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallStatus {
    /// The number of calls that wait for an answer.
    pub waiting: u64,
    /// The number of answers that came after their caller had stopped waiting.
    pub late_answers: u64,
    /// The calls for one answer that have ended; those of a waiter are not counted.
    #[serde(flatten)]
    pub ended: RequestStatus,
}

/// Requests that have ended, by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RequestStatus {
    /// The requests that succeeded.
    pub done: u64,
    /// The requests that were not answered in time.
    pub timed_out: u64,
    /// The requests that failed for another reason.
    pub failed: u64,
    /// The durations of all of them.
    pub durations: Durations,
}

/// A queue that an agent consumes. Its numbers are those of [`StatusSource::refresh`]; other agents may consume it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The queue.
    pub name: String,
    /// The number of its messages, by state; `None` before the first answer of the broker.
    pub depth: Option<Depth>,
    /// The queue of its dead letters; `None` if its consumer keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue: Option<String>,
    /// The number of messages there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<u64>,
    /// When the broker answered with these numbers.
    #[serde(with = "format::time_option", default)]
    pub at: Option<SystemTime>,
    /// Why there is no newer answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A schedule of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScheduleStatus {
    /// The method.
    pub handler: String,
    /// The schedule as it was written; of a periodic task its period, such as `5s`.
    pub schedule: String,
    /// The time zone of a cron task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// When it fires next, without its jitter; `None` if it no longer fires.
    #[serde(with = "format::time_option", default)]
    pub next: Option<SystemTime>,
    /// When it fired last.
    #[serde(with = "format::time_option", default)]
    pub last: Option<SystemTime>,
    /// The time by which the last fire was late.
    #[serde(with = "format::seconds")]
    pub delay: Duration,
    /// The fires without a run, by reason.
    pub skipped: SkippedFires,
}

/// The number of fires of a schedule that had no run, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SkippedFires {
    /// The last run was still going.
    pub overlapping: u64,
    /// It was too late for its lease.
    pub late: u64,
    /// No server could give its lease.
    pub without_lease: u64,
    /// Another replica had its run, which is not a loss.
    pub of_other_replicas: u64,
}

/// A handler that keeps its thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockingHandler {
    /// Its name: `Mailer.send`.
    pub name: String,
    /// Since when it has kept the thread.
    #[serde(with = "format::time")]
    pub since: SystemTime,
}

/// Returns the queues of these statuses by their name and the address of their broker, each with its newest numbers: several agents
/// may consume one queue.
pub fn newest_queues<'a>(
    statuses: impl IntoIterator<Item = &'a Status>,
) -> BTreeMap<(&'a str, &'a str), &'a QueueStatus> {
    let mut newest = BTreeMap::new();
    for status in statuses {
        let broker = status.broker.as_ref().map_or("", |broker| &*broker.address);
        for queue in &status.queues {
            let known = newest.entry((&*queue.name, broker)).or_insert(queue);
            if known.at < queue.at {
                *known = queue;
            }
        }
    }
    newest
}

impl AgentState {
    /// Returns the state as in JSON and in logs: `no_broker`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::NoBus => "no_bus",
            Self::NoBroker => "no_broker",
            Self::Blocked => "blocked",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
