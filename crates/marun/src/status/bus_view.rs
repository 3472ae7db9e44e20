//! The agents on a bus: those that the bus lists, those that have answered, and those that do not answer.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

use microagent_core::status::{AgentAnswer, AgentId, STATUS_LEASE, Status};

use super::{BusFacts, GROUP_STATUS_VERSION, GroupEvent, GroupStatus, MemberStatus};

/// An agent that has not answered for this long does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// The number of events that are kept.
const EVENTS: usize = 20;

/// The agents on a bus, as far as the one who asks has seen them.
#[derive(Debug)]
pub(crate) struct BusView {
    bus: BusFacts,
    agents: BTreeMap<AgentId, SeenAgent>,
    events: VecDeque<GroupEvent>,
    /// The agents were listed, so that a new one has come since.
    is_listed: bool,
}

#[derive(Debug)]
struct SeenAgent {
    since: SystemTime,
    answered: Option<SystemTime>,
    /// Its last answer, or why it cannot be read.
    status: Option<Result<Box<Status>, String>>,
}

impl SeenAgent {
    fn since(now: SystemTime) -> Self {
        Self {
            since: now,
            answered: None,
            status: None,
        }
    }

    /// Returns the last time at which it was certainly well: that of its last answer, or of its arrival.
    fn last(&self) -> SystemTime {
        self.answered.unwrap_or(self.since)
    }

    fn is_silent(&self, now: SystemTime) -> bool {
        elapsed(self.last(), now) >= PATIENCE
    }
}

impl BusView {
    pub(crate) fn new(address: String, prefix: &str) -> Self {
        Self {
            bus: BusFacts {
                address,
                prefix: prefix.to_owned(),
                complete: false,
                error: None,
            },
            agents: BTreeMap::new(),
            events: VecDeque::new(),
            is_listed: false,
        }
    }

    /// Takes in the list of the connected agents, which the bus was asked for at `asked`. An agent that is not in it is gone,
    /// unless it has answered since.
    pub(crate) fn list(&mut self, listed: Vec<AgentId>, asked: SystemTime, now: SystemTime) {
        let gone = self.agents.extract_if(.., |id, agent| {
            !listed.contains(id) && agent.answered.is_none_or(|answered| answered < asked)
        });
        let gone: Vec<_> = gone.map(|(id, _)| id).collect();
        for id in gone {
            self.note(now, "WARN", format!("{} is no longer connected", name(&id)));
        }
        for id in listed {
            self.see(id, now);
        }
        (self.bus.complete, self.bus.error, self.is_listed) = (true, None, true);
    }

    /// Notes that the bus does not list its agents. Those that no longer answer are forgotten after the time of a lease, because
    /// nobody knows whether they still exist.
    /// Returns true the first time.
    pub(crate) fn not_listed(&mut self, now: SystemTime) -> bool {
        let gone = self
            .agents
            .extract_if(.., |_, agent| elapsed(agent.last(), now) >= STATUS_LEASE);
        let gone: Vec<_> = gone.map(|(id, _)| id).collect();
        for id in gone {
            self.note(now, "WARN", format!("{} no longer answers", name(&id)));
        }
        (self.bus.complete, self.bus.error) = (false, None);
        !std::mem::replace(&mut self.is_listed, true)
    }

    /// Notes that the bus cannot be used. The time does not count for the agents.
    pub(crate) fn lost(&mut self, reason: String, now: SystemTime) {
        self.bus.error = Some(reason);
        for agent in self.agents.values_mut() {
            (agent.since, agent.answered) = (now, None);
        }
    }

    pub(crate) fn answer(&mut self, answer: AgentAnswer, now: SystemTime) {
        let agent = self.see(answer.id, now);
        (agent.answered, agent.status) = (Some(now), Some(answer.status));
    }

    /// Returns the agent, which may be new.
    fn see(&mut self, id: AgentId, now: SystemTime) -> &mut SeenAgent {
        if self.is_listed && !self.agents.contains_key(&id) {
            self.note(now, "INFO", format!("{} has connected", name(&id)));
        }
        let agent = self.agents.entry(id);
        agent.or_insert_with(|| SeenAgent::since(now))
    }

    fn note(&mut self, at: SystemTime, level: &str, text: String) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        let level = level.to_owned();
        self.events.push_back(GroupEvent { at, level, text });
    }

    /// Returns true if the bus lists its agents and each of them has answered.
    pub(crate) fn all_answered(&self) -> bool {
        let mut agents = self.agents.values();
        self.bus.complete && !self.agents.is_empty() && agents.all(|agent| agent.answered.is_some())
    }

    /// Returns why the bus cannot be used at present.
    pub(crate) fn error(&self) -> Option<&str> {
        self.bus.error.as_deref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.agents.is_empty()
    }

    /// Returns the status of all agents.
    pub(crate) fn status(&self, now: SystemTime) -> GroupStatus {
        let ids: Vec<_> = self.agents.keys().collect();
        let agents = self.agents.iter();
        GroupStatus {
            version: GROUP_STATUS_VERSION,
            at: now,
            launcher: None,
            bus: Some(self.bus.clone()),
            members: agents
                .map(|(id, agent)| member(id, agent, label(id, &ids), now))
                .collect(),
            events: self.events.iter().cloned().collect(),
        }
    }
}

fn member(id: &AgentId, agent: &SeenAgent, label: Option<String>, now: SystemTime) -> MemberStatus {
    let is_silent = agent.is_silent(now);
    let status = match &agent.status {
        Some(Ok(status)) if !is_silent => Some((**status).clone()),
        _ => None,
    };
    let no_answer = match &agent.status {
        Some(Err(error)) if !is_silent => Some(error.clone()),
        _ => None,
    };
    let is_joining = agent.status.is_none() && !is_silent;
    MemberStatus {
        name: id.agent.clone(),
        label,
        host: Some(id.host.clone()),
        is_agent: true,
        state: if is_joining { "joining" } else { "connected" }.to_owned(),
        since: status.as_ref().map_or(agent.last(), |status| status.since),
        pid: Some(id.pid),
        age: status.as_ref().map(|status| status.uptime),
        restarts: None,
        memory_bytes: None,
        last_end: None,
        status,
        no_answer,
    }
}

/// Returns the name that tells an agent apart from the others of its name, if there are any.
fn label(id: &AgentId, all: &[&AgentId]) -> Option<String> {
    let mut same = all
        .iter()
        .filter(|other| other.agent == id.agent && **other != id)
        .peekable();
    same.peek()?;
    let others: Vec<_> = same.collect();
    let by_host = others.iter().all(|other| other.host != id.host);
    let on_one_host = others.iter().all(|other| other.host == id.host);
    let AgentId {
        agent, host, pid, ..
    } = id;
    Some(if on_one_host {
        format!("{agent}@{pid}")
    } else if by_host {
        format!("{agent}@{host}")
    } else {
        format!("{agent}@{host}/{pid}")
    })
}

fn name(id: &AgentId) -> String {
    let AgentId {
        agent, host, pid, ..
    } = id;
    if host.is_empty() {
        format!("{agent} (process {pid})")
    } else {
        format!("{agent} (process {pid} on {host})")
    }
}

fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}
