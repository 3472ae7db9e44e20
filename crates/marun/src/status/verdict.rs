//! The first line of a status: what is wrong, since when, and whether anything is lost, late or kept.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use humantime::format_rfc3339_seconds;
use microagent_core::status::{AgentState, QueueStatus, Status, newest_queues};

use super::{GroupStatus, MemberStatus, render::short};

/// Returns true if all members are ready.
pub(crate) fn is_ready(group: &GroupStatus) -> bool {
    let mut members = group.members.iter();
    let is_reached = group.bus.as_ref().is_none_or(|bus| bus.error.is_none());
    is_reached && members.all(|member| problem(member).is_none())
}

/// A member that is not ready. The order is by what it means: the worst comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem<'a> {
    effect: Effect,
    since: SystemTime,
    name: &'a str,
    /// Such as `is blocked by Mailer.send`.
    text: String,
}

/// The consequence for signals and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// It has no process, or is not live yet.
    Away,
    /// Its bus is disconnected.
    Disconnected,
    /// It runs nothing.
    Stuck,
    /// Its broker is disconnected.
    WithoutBroker,
    Unknown,
    Stopping,
}

impl Effect {
    fn text(self) -> &'static str {
        match self {
            Self::Away => "signals to it are lost, its messages are late and kept",
            Self::Disconnected => "signals are lost until it is back",
            Self::Stuck => "its signals and messages are late and kept",
            Self::WithoutBroker => "its messages are late and kept",
            Self::Unknown => "its work may be late",
            Self::Stopping => "it finishes its work",
        }
    }
}

/// Returns the first line.
pub(super) fn first_line(group: &GroupStatus) -> String {
    if let Some(bus) = &group.bus
        && let Some(error) = &bus.error
    {
        return format!(
            "{} cannot be used, so agents cannot be asked: {error}",
            bus.address
        );
    }
    let mut problems: Vec<_> = group.members.iter().filter_map(problem).collect();
    problems.sort();
    let Some(worst) = problems.first() else {
        return all_ready(group);
    };
    let age = group.at.duration_since(worst.since).unwrap_or_default();
    let more = match problems.len() - 1 {
        0 => String::new(),
        1 => "; 1 more is not ready".to_owned(),
        count => format!("; {count} more are not ready"),
    };
    format!(
        "{} {} since {} ({}): {}{more}",
        worst.name,
        worst.text,
        time_of_day(worst.since),
        short(age),
        worst.effect.text()
    )
}

fn all_ready(group: &GroupStatus) -> String {
    let count = group.members.len();
    let ready = if count == 0 {
        return "no agent is connected".to_owned();
    } else if count == 1 {
        "the agent is ready".to_owned()
    } else {
        format!("all {count} agents are ready")
    };
    let facts: Vec<_> = [lost(group), late(group), kept(group)]
        .into_iter()
        .flatten()
        .collect();
    if facts.is_empty() {
        return format!("{ready}; nothing is lost, late or kept");
    }
    format!("{ready}; {}", facts.join(", "))
}

/// The signals that were lost since the agents were started.
fn lost(group: &GroupStatus) -> Option<String> {
    let gaps = statuses(group)
        .map(|status| status.gaps.count)
        .max()
        .unwrap_or(0);
    let last = statuses(group).filter_map(|status| status.gaps.last).max();
    match (gaps, last) {
        (0, _) | (_, None) => None,
        (_, Some(last)) => {
            let times = if gaps == 1 {
                "a gap".to_owned()
            } else {
                format!("{gaps} gaps")
            };
            Some(format!(
                "signals were lost in {times} until {}",
                time_of_day(last)
            ))
        }
    }
}

/// The messages that have waited for more than a minute.
fn late(group: &GroupStatus) -> Option<String> {
    const LATE: Duration = Duration::from_secs(60);
    let queues = queues(group);
    let ages = queues
        .values()
        .filter_map(|queue| Some((queue.depth?.oldest_age?, &queue.name)));
    let (age, name) = ages.max()?;
    (age >= LATE).then(|| format!("messages of {name} are late by {}", short(age)))
}

/// The dead letters.
fn kept(group: &GroupStatus) -> Option<String> {
    let dead: u64 = queues(group).values().filter_map(|queue| queue.dead).sum();
    match dead {
        0 => None,
        1 => Some("1 dead letter is kept".to_owned()),
        _ => Some(format!("{dead} dead letters are kept")),
    }
}

/// Returns the queues of the group.
pub(super) fn queues(group: &GroupStatus) -> BTreeMap<(&str, &str), &QueueStatus> {
    newest_queues(statuses(group))
}

fn statuses(group: &GroupStatus) -> impl Iterator<Item = &Status> {
    let members = group.members.iter();
    members.filter_map(|member| member.status.as_ref())
}

fn problem(member: &MemberStatus) -> Option<Problem<'_>> {
    let (effect, text, since) = match (&*member.state, &member.status) {
        ("ready", None) if member.is_agent => {
            (Effect::Unknown, "does not answer".to_owned(), member.since)
        }
        ("ready", None) => return None,
        ("ready" | "connected", Some(status)) => of_agent(status)?,
        ("connected", None) => (Effect::Unknown, of_silent(member), member.since),
        ("blocked", status) => {
            let status = status.as_ref().filter(|status| !status.blocking.is_empty());
            let blocking = status.map(of_blocked);
            blocking.unwrap_or_else(|| (Effect::Stuck, "is blocked".to_owned(), member.since))
        }
        ("joining", _) => (Effect::Away, "has connected".to_owned(), member.since),
        ("starting" | "pending", _) => {
            let again = |end: &String| format!("{end} and is starting again");
            let text = member.last_end.as_ref().map(again);
            let text = text.unwrap_or_else(|| "is starting".to_owned());
            (Effect::Away, text, member.since)
        }
        ("stopping", _) => (Effect::Stopping, "is stopping".to_owned(), member.since),
        ("backoff", _) => {
            let end = member.last_end.as_deref().unwrap_or("failed");
            let text = format!("{end} and waits for its restart");
            (Effect::Away, text, member.since)
        }
        (state, _) => (Effect::Away, format!("is {state}"), member.since),
    };
    Some(Problem {
        effect,
        since,
        name: member.label(),
        text,
    })
}

/// Describes an agent that is connected to its bus and has not answered with a status.
fn of_silent(member: &MemberStatus) -> String {
    let pid = member.pid.unwrap_or_default();
    let place = match member.host.as_deref() {
        Some(host) if !host.is_empty() => format!("process {pid} on {host}"),
        _ => format!("process {pid}"),
    };
    match &member.no_answer {
        Some(reason) => format!("is connected ({place}), but {reason}"),
        None => format!("is connected ({place}) and does not answer"),
    }
}

fn of_agent(status: &Status) -> Option<(Effect, String, SystemTime)> {
    let (effect, text) = match status.state {
        AgentState::Ready => return None,
        AgentState::Blocked => return Some(of_blocked(status)),
        AgentState::NoBus => (Effect::Disconnected, "has no bus"),
        AgentState::NoBroker => (Effect::WithoutBroker, "has no broker"),
        AgentState::Starting => (Effect::Away, "is starting"),
        AgentState::Draining => (Effect::Stopping, "is stopping"),
        AgentState::Stopped => (Effect::Away, "has stopped"),
        _ => (Effect::Unknown, "is not ready"),
    };
    Some((effect, text.to_owned(), status.since))
}

fn of_blocked(status: &Status) -> (Effect, String, SystemTime) {
    let names: Vec<_> = status.blocking.iter().map(|run| &*run.name).collect();
    let text = if names.is_empty() {
        "is blocked".to_owned()
    } else {
        format!("is blocked by {}", names.join(", "))
    };
    let since = status
        .blocking
        .first()
        .map_or(status.since, |run| run.since);
    (Effect::Stuck, text, since)
}

/// Returns the time of day in UTC.
pub(super) fn time_of_day(time: SystemTime) -> String {
    let text = format_rfc3339_seconds(time).to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}
