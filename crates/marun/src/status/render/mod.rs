//! The text of a status: the first line, and a table each of agents, handlers, queues and schedules.

use std::time::{Duration, SystemTime};

use microagent_core::status::{AgentState, Durations, HandlerStatus, Status};

use super::{
    GroupStatus, MemberStatus,
    verdict::{first_line, queues, time_of_day},
};
use crate::columns::aligned;

/// The number of events that are shown.
const EVENTS: usize = 5;

/// The width of a name in a table.
const NAME: usize = 20;

/// Returns the lines of a status, no longer than `width` except the first one. Rates and quantiles are
/// those since the earlier status, or since the start of each agent.
pub(crate) fn render(
    group: &GroupStatus,
    earlier: Option<&GroupStatus>,
    width: usize,
) -> Vec<String> {
    let sections = [
        if group.bus.is_some() {
            agents_of_bus(group)
        } else {
            agents(group)
        },
        handlers(group, earlier),
        queue_rows(group),
        schedules(group),
        events(group),
    ];
    let mut lines = vec![first_line(group)];
    for section in sections.into_iter().filter(|section| section.len() > 1) {
        lines.push(String::new());
        lines.extend(section.iter().map(|line| cut(line, width)));
    }
    lines
}

fn agents(group: &GroupStatus) -> Vec<String> {
    let rows: Vec<_> = group
        .members
        .iter()
        .map(|member| agent(member, group.at))
        .collect();
    let header = [
        "AGENT", "STATE", "FOR", "AGE", "RESTARTS", "MEMORY", "VERSION", "LAST END",
    ];
    aligned(header, &rows)
}

fn agent(member: &MemberStatus, now: SystemTime) -> [String; 8] {
    let status = member.status.as_ref();
    let (state, since) = state_of(member);
    let version = status.map_or("", |status| &*status.agent_version);
    [
        narrow(member.label()),
        state,
        short(now.duration_since(since).unwrap_or_default()),
        member.age.map_or_else(none, short),
        member
            .restarts
            .map_or_else(none, |restarts| restarts.to_string()),
        member.memory_bytes.map_or_else(none, bytes),
        or_none(version),
        member.last_end.clone().unwrap_or_default(),
    ]
}

fn agents_of_bus(group: &GroupStatus) -> Vec<String> {
    let rows: Vec<_> = group
        .members
        .iter()
        .map(|member| agent_of_bus(member, group.at))
        .collect();
    aligned(
        ["AGENT", "HOST", "PID", "STATE", "FOR", "AGE", "VERSION"],
        &rows,
    )
}

fn agent_of_bus(member: &MemberStatus, now: SystemTime) -> [String; 7] {
    let status = member.status.as_ref();
    let (state, since) = state_of(member);
    // The clock of the agent's machine may differ.
    let now = status.map_or(now, |status| status.at);
    [
        narrow(&member.name),
        or_none(&narrow(member.host.as_deref().unwrap_or_default())),
        member.pid.map_or_else(none, |pid| pid.to_string()),
        state,
        short(now.duration_since(since).unwrap_or_default()),
        member.age.map_or_else(none, short),
        or_none(status.map_or("", |status| &*status.agent_version)),
    ]
}

fn handlers(group: &GroupStatus, earlier: Option<&GroupStatus>) -> Vec<String> {
    let mut rows = Vec::new();
    for member in &group.members {
        let Some(status) = &member.status else {
            continue;
        };
        let before = earlier.and_then(|earlier| same_process(earlier, member, status));
        for handler in &status.handlers {
            rows.push(handler_row(member.label(), handler, status, before));
        }
    }
    let header = [
        "HANDLER", "DONE", "FAILED", "RATE", "RUN", "WAIT", "P50", "P95", "P99",
    ];
    aligned(header, &rows)
}

fn handler_row(
    agent: &str,
    handler: &HandlerStatus,
    status: &Status,
    before: Option<&Status>,
) -> [String; 9] {
    let earlier = before.and_then(|before| {
        let mut handlers = before.handlers.iter();
        handlers.find(|known| known.name == handler.name && known.source == handler.source)
    });
    let (runs, time) = match (before, earlier) {
        (Some(before), Some(earlier)) => (
            handler.durations.since(&earlier.durations),
            status.at.duration_since(before.at).unwrap_or_default(),
        ),
        _ => (handler.durations.clone(), status.uptime),
    };
    let failed = handler.failed + handler.timed_out + handler.panicked + handler.undecodable;
    let limit = handler
        .limit
        .map_or_else(String::new, |limit| format!("/{limit}"));
    let quantile = |share| runs.quantile(share).map_or_else(none, short);
    [
        narrow(&format!("{agent}.{}", handler.name)),
        handler.done.to_string(),
        failed.to_string(),
        rate(&runs, time),
        format!("{}{limit}", handler.running),
        handler.waiting.to_string(),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
    ]
}

/// Returns the earlier status of the same process, whose counters can be compared.
fn same_process<'a>(
    earlier: &'a GroupStatus,
    member: &MemberStatus,
    now: &Status,
) -> Option<&'a Status> {
    let members = earlier.members.iter();
    let mut same = members.filter(|other| other.name == member.name && other.host == member.host);
    same.find_map(|other| other.status.as_ref().filter(|status| status.pid == now.pid))
}

fn queue_rows(group: &GroupStatus) -> Vec<String> {
    let rows: Vec<_> = queues(group)
        .values()
        .map(|queue| {
            let depth = queue.depth.unwrap_or_default();
            let number =
                |number: Option<u64>| number.map_or_else(none, |number| number.to_string());
            [
                narrow(&queue.name),
                number(depth.waiting),
                number(depth.in_flight),
                number(depth.delayed),
                number(queue.dead),
                depth.oldest_age.map_or_else(none, short),
                queue.error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let header = [
        "QUEUE",
        "WAITING",
        "IN FLIGHT",
        "DELAYED",
        "DEAD",
        "OLDEST",
        "ERROR",
    ];
    aligned(header, &rows)
}

fn schedules(group: &GroupStatus) -> Vec<String> {
    let mut rows = Vec::new();
    for member in &group.members {
        for schedule in member.status.iter().flat_map(|status| &status.schedules) {
            let skipped = schedule.skipped;
            let skipped = skipped.overlapping + skipped.late + skipped.without_lease;
            rows.push([
                narrow(&format!("{}.{}", member.label(), schedule.handler)),
                narrow(&schedule.schedule),
                schedule.next.map_or_else(none, time_of_day),
                schedule.last.map_or_else(none, time_of_day),
                short(schedule.delay),
                skipped.to_string(),
            ]);
        }
    }
    let header = [
        "SCHEDULE",
        "RULE",
        "NEXT (UTC)",
        "LAST (UTC)",
        "DELAY",
        "SKIPPED",
    ];
    aligned(header, &rows)
}

fn events(group: &GroupStatus) -> Vec<String> {
    let first = group.events.len().saturating_sub(EVENTS);
    let events = group.events[first..].iter();
    let lines =
        events.map(|event| format!("{} {} {}", time_of_day(event.at), event.level, event.text));
    std::iter::once("LAST EVENTS (UTC)".to_owned())
        .chain(lines)
        .collect()
}

/// Returns the state that matters: that of the process, unless it is ready and the agent is not.
fn state_of(member: &MemberStatus) -> (String, SystemTime) {
    match &member.status {
        Some(status)
            if member.state == "connected"
                || member.state == "ready" && status.state != AgentState::Ready =>
        {
            (status.state.name().replace('_', " "), status.since)
        }
        None if matches!(&*member.state, "ready" | "connected") && member.is_agent => {
            ("silent".to_owned(), member.since)
        }
        _ => (member.state.clone(), member.since),
    }
}

/// Returns the runs per second.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with two digits"
)]
fn rate(runs: &Durations, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds <= 0.0 {
        return none();
    }
    let rate = runs.count() as f64 / seconds;
    if rate >= 10.0 {
        format!("{rate:.0}/s")
    } else {
        format!("{rate:.1}/s")
    }
}

/// Returns a duration with two or three digits.
pub(super) fn short(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 if duration.is_zero() => "0s".to_owned(),
        0 if millis < 10 => format!("{:.1}ms", duration.as_secs_f64() * 1e3),
        0 => format!("{millis}ms"),
        1..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Returns a size in MiB.
fn bytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{}M", tenths / 10, tenths % 10)
}

fn or_none(text: &str) -> String {
    if text.is_empty() {
        none()
    } else {
        text.to_owned()
    }
}

fn none() -> String {
    "-".to_owned()
}

/// Cuts a name in a table. The names of replicas differ at their ends, so one with `@` is cut in its middle.
fn narrow(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME || !name.contains('@') {
        return cut(name, NAME);
    }
    let (head, tail) = (NAME / 3, NAME - NAME / 3 - 1);
    let head: String = name.chars().take(head).collect();
    let tail: String = name.chars().skip(count - tail).collect();
    format!("{head}…{tail}")
}

/// Cuts a text to this number of characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests;
