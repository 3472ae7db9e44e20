//! The agents on a bus: those that the bus lists, those that have answered, and those that do not answer.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

use microagent_core::status::{AgentId, STATUS_LEASE, Status};

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

    /// Notes that the bus cannot be used. The time does not count for the agents, and what they have answered before may no
    /// longer be true.
    pub(crate) fn lost(&mut self, reason: String, now: SystemTime) {
        self.bus.error = Some(reason);
        for agent in self.agents.values_mut() {
            *agent = SeenAgent::since(now);
        }
    }

    /// Takes in the answer of an agent: its status, or why the status cannot be read.
    pub(crate) fn answer(
        &mut self,
        id: AgentId,
        status: Result<Box<Status>, String>,
        now: SystemTime,
    ) {
        let agent = self.see(id, now);
        (agent.answered, agent.status) = (Some(now), Some(status));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::status::{is_ready, render};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn ids(texts: &[&str]) -> Vec<AgentId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// A view of these agents, which have connected at the first second.
    fn view(texts: &[&str]) -> BusView {
        let mut view = BusView::new("redis://host/7".to_owned(), "SHOP");
        view.list(ids(texts), at(0), at(1));
        view
    }

    fn ready(agent: &str) -> Result<Box<Status>, String> {
        let time = "1970-01-01T00:00:01Z";
        let status = json!({
            "version": 1, "agent": agent, "agent_type": "Mailer", "state": "ready", "since": time, "at": time,
            "started": time, "uptime": 60.0, "pid": 7, "agent_version": "1.4.0", "microagent_version": "0.1.0",
            "bus": null, "broker": null, "gaps": {"count": 0, "total": 0.0}, "strays": 0,
            "calls": {"waiting": 0, "late_answers": 0}, "handlers": [], "queues": [], "schedules": []
        });
        Ok(serde_json::from_value(status).unwrap())
    }

    fn answer(view: &mut BusView, text: &str, seconds: u64) {
        let id: AgentId = text.parse().unwrap();
        view.answer(id.clone(), ready(&id.agent), at(seconds));
    }

    /// The lines, and whether all agents are ready.
    fn shown(view: &BusView, seconds: u64) -> (bool, Vec<String>) {
        let status = view.status(at(seconds));
        (is_ready(&status), render(&status, None, 80))
    }

    fn labels(texts: &[&str]) -> Vec<String> {
        let members = view(texts).status(at(1)).members;
        members
            .iter()
            .map(|member| member.label().to_owned())
            .collect()
    }

    #[test]
    fn agents_of_one_name_are_told_apart() {
        assert_eq!(labels(&["a/1/h/x", "b/1/h/x"]), ["a", "b"]);
        assert_eq!(labels(&["a/1/h/x", "a/2/h/x"]), ["a@1", "a@2"]);
        assert_eq!(labels(&["a/1/h/x", "a/1/i/x"]), ["a@h", "a@i"]);
        let mixed = labels(&["a/1/h/x", "a/2/h/x", "a/1/i/x"]);
        assert_eq!(mixed, ["a@h/1", "a@i", "a@h/2"]);
    }

    #[test]
    fn an_agent_that_does_not_answer_in_time_is_named() {
        let mut view = view(&["mailer/7/shop-1/x", "mailer/7/shop-2/y"]);
        answer(&mut view, "mailer/7/shop-1/x", 2);
        assert!(!view.all_answered());
        let (_, lines) = shown(&view, 3);
        let line = "mailer@shop-2 has connected since 00:00:01 (2.0s): ";
        assert!(lines[0].starts_with(line), "{lines:?}");
        answer(&mut view, "mailer/7/shop-1/x", 3);
        let (is_ready, lines) = shown(&view, 4);
        assert!(!is_ready);
        let expected = "\
mailer@shop-2 is connected (process 7 on shop-2) and does not answer since 00:00:01 (3.0s): its work may be late

AGENT   HOST    PID  STATE   FOR   AGE    VERSION
mailer  shop-1  7    ready   0s    1m00s  1.4.0
mailer  shop-2  7    silent  3.0s  -      -";
        assert_eq!(lines.join("\n"), expected);

        answer(&mut view, "mailer/7/shop-2/y", 4);
        assert!(view.all_answered());
        let (is_ready, lines) = shown(&view, 4);
        assert!(
            is_ready && lines[0].starts_with("all 2 agents are ready"),
            "{lines:?}"
        );
    }

    #[test]
    fn agents_that_come_and_go_are_events() {
        let mut view = view(&["a/1/h/x"]);
        answer(&mut view, "a/1/h/x", 1);
        // An answer may be newer than the list.
        answer(&mut view, "c/3/h/x", 4);
        view.list(ids(&["b/2//x"]), at(3), at(5));
        let (_, lines) = shown(&view, 5);
        let events: Vec<_> = lines
            .iter()
            .skip_while(|line| !line.starts_with("LAST"))
            .collect();
        assert_eq!(
            events[1..],
            [
                "00:00:04 INFO c (process 3 on h) has connected",
                "00:00:05 WARN a (process 1 on h) is no longer connected",
                "00:00:05 INFO b (process 2) has connected",
            ]
        );
        view.list(Vec::new(), at(6), at(6));
        assert!(view.is_empty());
        assert_eq!(shown(&view, 6).1[0], "no agent is connected");
    }

    #[test]
    fn without_a_list_agents_are_forgotten_some_time_after_their_last_answer() {
        let mut view = BusView::new("redis://host/7".to_owned(), "SHOP");
        assert!(view.not_listed(at(0)));
        answer(&mut view, "a/1/h/x", 1);
        assert!(!view.not_listed(at(2)), "the first time is reported");
        assert!(!view.all_answered(), "others may follow");
        assert!(shown(&view, 2).0);
        view.not_listed(at(10));
        assert!(shown(&view, 10).1[0].contains("does not answer"));
        view.not_listed(at(11));
        assert!(view.is_empty());
    }

    #[test]
    fn an_unreadable_status_is_named_with_its_agent() {
        let mut view = view(&["a/1/h/x"]);
        let error = "its status has version 2, and this program reads version 1".to_owned();
        view.answer("a/1/h/x".parse().unwrap(), Err(error), at(2));
        let (is_ready, lines) = shown(&view, 2);
        let line = "a is connected (process 1 on h), but its status has version 2, and this program reads version 1 since";
        assert!(!is_ready && lines[0].starts_with(line), "{lines:?}");
    }

    #[test]
    fn nobody_is_silent_while_the_bus_is_away() {
        let mut view = view(&["a/1/h/x"]);
        answer(&mut view, "a/1/h/x", 1);
        view.lost("reset".to_owned(), at(60));
        let (is_ready, lines) = shown(&view, 60);
        let line = "redis://host/7 cannot be used, so agents cannot be asked: reset";
        assert_eq!((is_ready, &*lines[0]), (false, line));
        view.list(ids(&["a/1/h/x"]), at(61), at(61));
        let (is_ready, lines) = shown(&view, 61);
        assert!(
            !is_ready && lines[0].starts_with("a has connected"),
            "{lines:?}"
        );
        answer(&mut view, "a/1/h/x", 62);
        assert!(shown(&view, 62).0);
        assert!(!shown(&view, 65).0);
    }
}
