//! The health of agents: which checks a probe makes, and what they find.

use microagent_core::status::{AgentState, ConnectionStatus, Status};
use serde::Serialize;

use crate::{metrics::seconds_of, report::AgentReport};

/// A question about the health of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Does the program run? It asks no agent and no server.
    Live,
    /// Has each agent begun its work?
    Started,
    /// Does each agent receive and consume?
    Ready,
}

/// The answer of a probe, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Health<'a> {
    pub(crate) ok: bool,
    agents: Vec<AgentHealth<'a>>,
}

#[derive(Debug, Serialize)]
struct AgentHealth<'a> {
    agent: &'a str,
    ok: bool,
    state: &'a str,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    ok: bool,
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl<'a> Health<'a> {
    /// Makes the checks of a probe.
    pub(crate) fn of(probe: Probe, reports: &'a [AgentReport]) -> Self {
        let agents: Vec<_> = reports
            .iter()
            .map(|report| AgentHealth::of(probe, report))
            .collect();
        Self {
            ok: agents.iter().all(|agent| agent.ok),
            agents,
        }
    }
}

impl<'a> AgentHealth<'a> {
    fn of(probe: Probe, report: &'a AgentReport) -> Self {
        let checks = match probe {
            Probe::Live => Vec::new(),
            _ if report.is_command => vec![process(report)],
            Probe::Started => vec![process(report), started(report)],
            Probe::Ready => ready(report),
        };
        Self {
            agent: &report.name,
            ok: checks.iter().all(|check| check.ok),
            state: report.state_name(),
            checks,
        }
    }
}

fn ready(report: &AgentReport) -> Vec<Check> {
    let mut checks = vec![process(report), started(report)];
    let Some(status) = &report.status else {
        return checks;
    };
    let blocked = status.state == AgentState::Blocked;
    checks.push(of_state("runtime", !blocked, status));
    let connections = [("bus", &status.bus), ("broker", &status.broker)];
    let known = connections
        .into_iter()
        .filter_map(|(name, state)| Some((name, state.as_ref()?)));
    checks.extend(known.map(|(name, state)| connected(name, state)));
    let ends = matches!(status.state, AgentState::Draining | AgentState::Stopped);
    checks.push(of_state("serving", !ends, status));
    checks
}

/// A process of the agent answers, and the launcher does not end it.
fn process(report: &AgentReport) -> Check {
    let ok = report.unready.is_none();
    let since = report
        .unready_since
        .or_else(|| Some(report.status.as_ref()?.started));
    Check {
        check: "process",
        ok,
        since: since.map(seconds_of),
        reason: report.unready.clone(),
    }
}

fn started(report: &AgentReport) -> Check {
    match &report.status {
        Some(status) => of_state("started", status.state != AgentState::Starting, status),
        None => Check {
            check: "started",
            ok: false,
            since: None,
            reason: None,
        },
    }
}

/// A check of the agent's state, whose time and reason are those of the state if it fails.
fn of_state(check: &'static str, ok: bool, status: &Status) -> Check {
    Check {
        check,
        ok,
        since: (!ok).then(|| seconds_of(status.since)),
        reason: if ok { None } else { status.reason.clone() },
    }
}

fn connected(check: &'static str, state: &ConnectionStatus) -> Check {
    // A driver that does not report its connection has none that can be down.
    let ok = state.up != Some(false);
    Check {
        check,
        ok,
        since: state.since.map(seconds_of),
        reason: if ok { None } else { state.last_error.clone() },
    }
}
