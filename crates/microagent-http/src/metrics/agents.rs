//! The metrics of agents, their buses and brokers.

use std::fmt;

use microagent_core::status::{AgentState, ConnectionStatus, RequestStatus, Status};

use super::{Families, families::Labels, seconds_of, statuses};
use crate::report::{ABSENT, AgentReport};

/// All states that an agent can be in, with the one of an agent without a process that answers.
const STATES: [&str; 8] = [
    AgentState::Starting.name(),
    AgentState::Ready.name(),
    AgentState::NoBus.name(),
    AgentState::NoBroker.name(),
    AgentState::Blocked.name(),
    AgentState::Draining.name(),
    AgentState::Stopped.name(),
    ABSENT,
];

pub(super) fn write(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    info(to, reports)?;
    state(to, reports)?;
    signals(to, reports)?;
    bus(to, reports)?;
    broker(to, reports)
}

fn info(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.gauge(
        "microagent_build_info",
        "The version of MicroAgent that answers; always 1.",
        [(vec![("version", env!("CARGO_PKG_VERSION"))], 1_u64)],
    )?;
    to.gauge(
        "microagent_agent_info",
        "The type of an agent, its version and its version of MicroAgent; always 1.",
        statuses(reports).map(|status| (info_labels(status), 1_u64)),
    )
}

fn info_labels(status: &Status) -> Labels<'_> {
    vec![
        ("agent", &status.agent),
        ("type", &status.agent_type),
        ("version", &status.agent_version),
        ("microagent_version", &status.microagent_version),
    ]
}

fn state(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.gauge(
        "microagent_agent_ready",
        "1 for an agent that receives and consumes, 0 for any other.",
        reports
            .iter()
            .map(|report| (of(report), u64::from(report.is_ready()))),
    )?;
    let in_states = reports.iter().flat_map(|report| {
        let present = report.state_name();
        STATES.into_iter().map(move |state| {
            let labels = vec![("agent", report.name.as_str()), ("state", state)];
            (labels, u64::from(state == present))
        })
    });
    to.gauge(
        "microagent_agent_state",
        "1 for the state that an agent is in, 0 for the others.",
        in_states,
    )?;
    to.gauge(
        "microagent_agent_start_time_seconds",
        "When the agent was started, in seconds since the Unix epoch.",
        statuses(reports).map(|status| (by(status), seconds_of(status.started))),
    )?;
    to.counter(
        "microagent_agent_restarts",
        "The number of times that the launcher started the agent's process again.",
        reports.iter().map(|report| (of(report), report.restarts)),
    )
}

fn signals(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.counter(
        "microagent_signals_sent",
        "Signals that were sent, calls not included, by outcome.",
        with_bus(reports).flat_map(|(status, _)| by_outcome(status, &status.signals_sent)),
    )?;
    to.counter(
        "microagent_calls",
        "Calls for one answer that have ended, by outcome.",
        with_bus(reports).flat_map(|(status, _)| by_outcome(status, &status.calls.ended)),
    )?;
    to.histogram(
        "microagent_call_duration_seconds",
        "The time from a call to its answer or failure.",
        with_bus(reports).map(|(status, _)| (by(status), &status.calls.ended.durations)),
    )?;
    to.counter(
        "microagent_signals_stray",
        "Signals on invalid channels.",
        with_bus(reports).map(|(status, _)| (by(status), status.strays)),
    )?;
    to.counter(
        "microagent_calls_late_answers",
        "Answers that came after their caller had stopped waiting.",
        with_bus(reports).map(|(status, _)| (by(status), status.calls.late_answers)),
    )?;
    to.gauge(
        "microagent_calls_waiting",
        "Calls that wait for an answer.",
        with_bus(reports).map(|(status, _)| (by(status), status.calls.waiting)),
    )
}

fn bus(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.gauge(
        "microagent_bus_connected",
        "1 while the bus of the agent is connected, 0 while it is not.",
        with_bus(reports).filter_map(|(status, bus)| Some((by(status), u64::from(bus.up?)))),
    )?;
    to.counter(
        "microagent_bus_reconnects",
        "The number of times that the bus was connected again after a loss.",
        with_bus(reports).map(|(status, bus)| (by(status), bus.reconnects)),
    )?;
    to.counter(
        "microagent_bus_gaps",
        "Times in which the bus was disconnected and signals were lost.",
        with_bus(reports).map(|(status, _)| (by(status), status.gaps.count)),
    )?;
    to.counter(
        "microagent_bus_gap_seconds",
        "The sum of the times in which the bus was disconnected.",
        with_bus(reports).map(|(status, _)| (by(status), status.gaps.total.as_secs_f64())),
    )
}

fn broker(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    let with_broker =
        || statuses(reports).filter_map(|status| Some((status, status.broker.as_ref()?)));
    to.gauge(
        "microagent_broker_connected",
        "1 while the broker of the agent is connected, 0 while it is not.",
        with_broker().filter_map(|(status, broker)| Some((by(status), u64::from(broker.up?)))),
    )?;
    to.counter(
        "microagent_messages_sent",
        "Messages that were sent, by outcome; one that failed may have been stored.",
        with_broker().flat_map(|(status, _)| by_outcome(status, &status.messages_sent)),
    )?;
    to.histogram(
        "microagent_send_duration_seconds",
        "The time until a message that was sent was confirmed or failed.",
        with_broker().map(|(status, _)| (by(status), &status.messages_sent.durations)),
    )?;
    to.counter(
        "microagent_broker_reconnects",
        "The number of times that the broker was connected again after a loss.",
        with_broker().map(|(status, broker)| (by(status), broker.reconnects)),
    )
}

fn with_bus(reports: &[AgentReport]) -> impl Iterator<Item = (&Status, &ConnectionStatus)> {
    statuses(reports).filter_map(|status| Some((status, status.bus.as_ref()?)))
}

fn by_outcome<'a>(
    status: &'a Status,
    requests: &RequestStatus,
) -> impl Iterator<Item = (Labels<'a>, u64)> + use<'a> {
    let outcomes = [
        ("done", requests.done),
        ("timed_out", requests.timed_out),
        ("failed", requests.failed),
    ];
    outcomes.into_iter().map(|(outcome, count)| {
        let mut labels = by(status);
        labels.push(("outcome", outcome));
        (labels, count)
    })
}

fn of(report: &AgentReport) -> Labels<'_> {
    vec![("agent", &report.name)]
}

pub(super) fn by(status: &Status) -> Labels<'_> {
    vec![("agent", &status.agent)]
}
