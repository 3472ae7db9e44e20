//! The metrics in the text format of Prometheus, made from the reports at each scrape. Nothing is kept between two scrapes.
//!
//! Counters begin at 0 with each process of an agent, which Prometheus takes for a reset. No label has a process number, a sender, a
//! message id or the text of an error, so the series of an agent are the same after its restart.

mod agents;
mod families;
mod handlers;
mod processes;
mod queues;

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use microagent_core::status::Status;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text},
    registry::Registry,
};

use self::families::Families;
use crate::report::AgentReport;

/// Returns the metrics of these agents as text.
pub(crate) fn text_of(reports: &[AgentReport]) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reported(reports.to_vec())));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The reports of a scrape.
#[derive(Debug)]
struct Reported(Vec<AgentReport>);

impl Collector for Reported {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder);
        agents::write(&mut families, &self.0)?;
        handlers::write(&mut families, &self.0)?;
        queues::write(&mut families, &self.0)?;
        processes::write(&mut families, &self.0)
    }
}

/// Returns the statuses of the agents that answer.
fn statuses(reports: &[AgentReport]) -> impl Iterator<Item = &Status> {
    reports.iter().filter_map(|report| report.status.as_ref())
}

/// Returns a time in seconds since the Unix epoch.
pub(crate) fn seconds_of(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.as_ref().map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An agent that consumes the queue `mailer`, with so many waiting messages as the broker answered in this second.
    fn report(agent: &str, waiting: u64, second: u32) -> AgentReport {
        let time = |second: u32| format!("2026-11-28T12:00:{second:02}.000Z");
        let broker = json!({"address": "redis://localhost:6379/7", "up": true, "reconnects": 2});
        let status = json!({
            "version": 1, "agent": agent, "agent_type": "Mailer", "state": "ready", "since": time(0), "at": time(9),
            "started": time(0), "uptime": 9.0, "pid": u32::MAX, "agent_version": "1.0.0", "microagent_version": "0.1.0",
            "bus": Value::Null, "broker": broker, "gaps": {"count": 0, "total": 0.0}, "strays": 0,
            "calls": {"waiting": 0, "late_answers": 0}, "schedules": [],
            "handlers": [{
                "name": "send", "kind": "queue", "source": "mailer \"1\"", "received": 9, "done": 5, "failed": 2,
                "timed_out": 0, "panicked": 0, "undecodable": 0, "dropped": 0, "retried": 1, "dead_lettered": 1,
                "returned": 0, "redelivered": 1, "running": 1, "waiting": 1, "limit": 10,
                "durations": {"counts": [3, 4], "sum": 0.5}
            }],
            "queues": [{"name": "mailer", "depth": {"waiting": waiting, "in_flight": 1, "delayed": Value::Null}, "dead": 3, "at": time(second)}],
        });
        AgentReport::of(serde_json::from_value(status).unwrap())
    }

    #[track_caller]
    fn contains(text: &str, line: &str) {
        assert!(
            text.lines().any(|known| known == line),
            "no `{line}` in\n{text}"
        );
    }

    #[test]
    fn the_metrics_of_two_agents_have_a_series_each_and_their_queue_has_one() {
        let absent = AgentReport::without_status("c", "killed by signal 9");
        let text = text_of(&[report("a", 4, 1), report("b", 7, 2), absent]).unwrap();
        contains(&text, r#"microagent_agent_ready{agent="a"} 1"#);
        contains(&text, r#"microagent_agent_ready{agent="c"} 0"#);
        contains(
            &text,
            r#"microagent_agent_state{agent="c",state="absent"} 1"#,
        );
        contains(&text, r#"microagent_broker_reconnects_total{agent="b"} 2"#);
        let handler = r#"agent="a",handler="send",kind="queue",source="mailer \"1\"""#;
        contains(
            &text,
            &format!(r#"microagent_handler_runs_total{{{handler},outcome="done"}} 5"#),
        );
        contains(
            &text,
            &format!("microagent_handler_duration_seconds_count{{{handler}}} 7"),
        );
        contains(
            &text,
            &format!(r#"microagent_handler_duration_seconds_bucket{{{handler},le="+Inf"}} 7"#),
        );
        let queue = r#"broker="redis://localhost:6379/7",queue="mailer""#;
        let of_queue = |state: &str, count: u32| {
            format!(r#"microagent_queue_messages{{{queue},state="{state}"}} {count}"#)
        };
        contains(&text, &of_queue("waiting", 7));
        contains(&text, &of_queue("dead", 3));
        assert!(
            !text.contains(r#"state="delayed""#),
            "an unknown number is left out: {text}"
        );
        assert!(
            !text.contains("microagent_bus_"),
            "no agent has a bus: {text}"
        );
        assert!(!text.contains("process_"), "no such process: {text}");
    }
}
