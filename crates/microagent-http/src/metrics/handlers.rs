//! The metrics of handlers, signals, messages and schedules.

use std::fmt;

use microagent_core::status::{HandlerKind, HandlerStatus, ScheduleStatus, Status};

use super::{Families, families::Labels, seconds_of, statuses};
use crate::report::AgentReport;

pub(super) fn write(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    runs(to, reports)?;
    load(to, reports)?;
    signals(to, reports)?;
    messages(to, reports)?;
    schedules(to, reports)
}

fn runs(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    let ended = all(reports).flat_map(|(status, handler)| {
        outcomes(handler).into_iter().map(move |(outcome, count)| {
            let mut labels = of(status, handler);
            labels.push(("outcome", outcome));
            (labels, count)
        })
    });
    to.counter(
        "microagent_handler_runs",
        "Runs of a handler that have ended, by outcome.",
        ended,
    )?;
    to.counter(
        "microagent_handler_retries",
        "Failed runs of a handler that are followed by another one.",
        all(reports).map(|(status, handler)| (of(status, handler), handler.retried)),
    )?;
    to.histogram(
        "microagent_handler_duration_seconds",
        "The durations of a handler's runs.",
        all(reports).map(|(status, handler)| (of(status, handler), &handler.durations)),
    )?;
    to.gauge(
        "microagent_handler_last_success_timestamp_seconds",
        "The end of the last run that succeeded, in seconds since the Unix epoch.",
        all(reports).filter_map(|(status, handler)| {
            Some((of(status, handler), seconds_of(handler.last_success?)))
        }),
    )
}

fn outcomes(handler: &HandlerStatus) -> [(&'static str, u64); 6] {
    [
        ("done", handler.done),
        ("failed", handler.failed),
        ("timed_out", handler.timed_out),
        ("panicked", handler.panicked),
        ("undecodable", handler.undecodable),
        ("dropped", handler.dropped),
    ]
}

fn load(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.gauge(
        "microagent_handler_running",
        "Runs of a handler that go on.",
        all(reports).map(|(status, handler)| (of(status, handler), handler.running)),
    )?;
    to.gauge(
        "microagent_handler_waiting",
        "Signals, deliveries or fires that wait for a run to end.",
        all(reports).map(|(status, handler)| (of(status, handler), handler.waiting)),
    )?;
    to.gauge(
        "microagent_handler_concurrency_limit",
        "The number of runs of a handler that may go on at the same time.",
        all(reports).filter_map(|(status, handler)| Some((of(status, handler), handler.limit?))),
    )
}

fn signals(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.counter(
        "microagent_signals_received",
        "Signals and calls that came for a receiver.",
        of_kind(reports, HandlerKind::Signal)
            .map(|(status, handler)| (of(status, handler), handler.received)),
    )?;
    to.counter(
        "microagent_signals_dropped",
        "Signals that found no room, and calls whose caller had stopped waiting.",
        of_kind(reports, HandlerKind::Signal)
            .map(|(status, handler)| (of(status, handler), handler.dropped)),
    )
}

fn messages(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    to.counter(
        "microagent_messages_received",
        "Deliveries that came for a consumer.",
        of_kind(reports, HandlerKind::Queue)
            .map(|(status, handler)| (of(status, handler), handler.received)),
    )?;
    to.counter(
        "microagent_messages_redelivered",
        "Deliveries that were not the first of their message.",
        of_kind(reports, HandlerKind::Queue)
            .map(|(status, handler)| (of(status, handler), handler.redelivered)),
    )?;
    let settled = of_kind(reports, HandlerKind::Queue).flat_map(|(status, handler)| {
        settlements(handler)
            .into_iter()
            .map(move |(settlement, count)| {
                let mut labels = of(status, handler);
                labels.push(("settlement", settlement));
                (labels, count)
            })
    });
    to.counter(
        "microagent_messages_settled",
        "Deliveries by their settlement. A handler that settles by itself counts as `ack` when its run succeeds.",
        settled,
    )
}

fn settlements(handler: &HandlerStatus) -> [(&'static str, u64); 4] {
    [
        ("ack", handler.done),
        ("retry", handler.retried),
        ("dead_letter", handler.dead_lettered),
        ("return", handler.returned),
    ]
}

fn schedules(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    let all = || {
        statuses(reports).flat_map(|status| {
            let schedules = status.schedules.iter();
            schedules.map(move |schedule| (status, schedule))
        })
    };
    to.gauge(
        "microagent_schedule_delay_seconds",
        "The time by which the last fire of a schedule was late.",
        all().map(|(status, schedule)| {
            (by_schedule(status, schedule), schedule.delay.as_secs_f64())
        }),
    )?;
    let skipped = all().flat_map(|(status, schedule)| {
        reasons(schedule).into_iter().map(move |(reason, count)| {
            let mut labels = by_schedule(status, schedule);
            labels.push(("reason", reason));
            (labels, count)
        })
    });
    to.counter(
        "microagent_schedule_skipped",
        "Fires of a schedule that had no run, by reason.",
        skipped,
    )?;
    to.gauge(
        "microagent_schedule_next_run_timestamp_seconds",
        "The next fire of a schedule, in seconds since the Unix epoch.",
        all().filter_map(|(status, schedule)| {
            Some((by_schedule(status, schedule), seconds_of(schedule.next?)))
        }),
    )
}

fn reasons(schedule: &ScheduleStatus) -> [(&'static str, u64); 4] {
    let skipped = &schedule.skipped;
    [
        ("overlapping", skipped.overlapping),
        ("late", skipped.late),
        ("without_lease", skipped.without_lease),
        ("of_other_replicas", skipped.of_other_replicas),
    ]
}

fn all(reports: &[AgentReport]) -> impl Iterator<Item = (&Status, &HandlerStatus)> {
    statuses(reports).flat_map(|status| {
        let handlers = status.handlers.iter();
        handlers.map(move |handler| (status, handler))
    })
}

fn of_kind(
    reports: &[AgentReport],
    kind: HandlerKind,
) -> impl Iterator<Item = (&Status, &HandlerStatus)> {
    all(reports).filter(move |(_, handler)| handler.kind == kind)
}

fn of<'a>(status: &'a Status, handler: &'a HandlerStatus) -> Labels<'a> {
    vec![
        ("agent", &status.agent),
        ("handler", &handler.name),
        ("kind", handler.kind.name()),
        ("source", &handler.source),
    ]
}

fn by_schedule<'a>(status: &'a Status, schedule: &'a ScheduleStatus) -> Labels<'a> {
    vec![
        ("agent", &status.agent),
        ("handler", &schedule.handler),
        ("schedule", &schedule.schedule),
    ]
}
