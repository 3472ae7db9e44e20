//! The data that the answers are made from: the status of each agent, and what is known of its process.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use microagent_core::status::{AgentState, Status, StatusSlot, StatusSource};

/// The time that an agent of this process has to report. It is shorter than the usual time-out of a probe, 1 s.
const PATIENCE: Duration = Duration::from_millis(500);

/// The state of an agent without a process that answers.
pub(crate) const ABSENT: &str = "absent";

/// An agent, as the answers show it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentReport {
    /// Its name.
    pub name: String,
    /// Its status; `None` if no process of it answers.
    pub status: Option<Status>,
    /// Why there is no status, or why the agent is not ready whatever its status says.
    pub unready: Option<String>,
    /// Since when that is so.
    pub unready_since: Option<SystemTime>,
    /// The number of times that its process was started again.
    pub restarts: u64,
    /// Its process.
    pub pid: Option<u32>,
    /// True for a process that is not an agent: it is ready while it runs.
    pub is_command: bool,
}

impl AgentReport {
    /// Creates the report of an agent that answers.
    #[must_use]
    pub fn of(status: Status) -> Self {
        Self {
            name: status.agent.clone(),
            pid: Some(status.pid),
            status: Some(status),
            unready: None,
            unready_since: None,
            restarts: 0,
            is_command: false,
        }
    }

    /// Creates the report of an agent that does not answer, with the reason.
    #[must_use]
    pub fn without_status(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: None,
            unready: Some(reason.into()),
            unready_since: None,
            restarts: 0,
            pid: None,
            is_command: false,
        }
    }

    /// Creates the report of a process that is not an agent, with the reason why it does not run.
    #[must_use]
    pub fn of_command(name: impl Into<String>, unready: Option<String>) -> Self {
        Self {
            name: name.into(),
            status: None,
            unready,
            unready_since: None,
            restarts: 0,
            pid: None,
            is_command: true,
        }
    }

    /// Returns the state; `None` if no process of it answers.
    pub(crate) fn state(&self) -> Option<AgentState> {
        self.status.as_ref().map(|status| status.state)
    }

    /// Returns the name of the state: `ready`, …; `absent` without a process that answers.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.state() {
            Some(state) => state.name(),
            None if self.is_command && self.unready.is_none() => AgentState::Ready.name(),
            None => ABSENT,
        }
    }

    /// Returns true if it receives and consumes, and its connections are up.
    pub(crate) fn is_ready(&self) -> bool {
        let is_ready = self.is_command || self.state() == Some(AgentState::Ready);
        self.unready.is_none() && is_ready
    }
}

/// The source of the answers.
pub trait Reports: Send + Sync + 'static {
    /// Returns the names of all agents. It does not wait.
    fn names(&self) -> Vec<String>;

    /// Returns the reports of all agents. It may block its thread for a moment, which must be shorter than the time-out of a probe.
    fn reports(&self) -> Vec<AgentReport>;
}

/// The agents of this process. One whose runtime does not run is blocked.
impl Reports for Vec<StatusSource> {
    fn names(&self) -> Vec<String> {
        let names = self.iter().map(|source| source.agent().to_owned());
        names.collect()
    }

    fn reports(&self) -> Vec<AgentReport> {
        let of = |source: &StatusSource| AgentReport::of(source.ask(PATIENCE));
        each_in_a_thread(self, of)
    }
}

/// The agents of this process, by name, from before their start.
impl Reports for Vec<(String, StatusSlot)> {
    fn names(&self) -> Vec<String> {
        self.iter().map(|(name, _)| name.clone()).collect()
    }

    fn reports(&self) -> Vec<AgentReport> {
        each_in_a_thread(self, |(name, slot)| match slot.get() {
            Some(source) => AgentReport::of(source.ask(PATIENCE)),
            None => AgentReport::without_status(name, "the agent has not been started"),
        })
    }
}

/// Asks all at the same time, so that several blocked agents take no longer than one.
fn each_in_a_thread<T: Sync>(
    items: &[T],
    report: impl Fn(&T) -> AgentReport + Sync,
) -> Vec<AgentReport> {
    thread::scope(|scope| {
        let asked = items.iter().map(|item| scope.spawn(|| report(item)));
        let asked: Vec<_> = asked.collect();
        asked
            .into_iter()
            .filter_map(|asked| asked.join().ok())
            .collect()
    })
}
