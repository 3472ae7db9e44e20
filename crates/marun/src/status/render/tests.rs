//! The text of a status, exactly.

use serde_json::{Value, json};

use super::*;
use crate::status::is_ready;

/// The status of an agent that consumes `mailer` and reports each minute.
fn mailer() -> Value {
    json!({
        "version": 1, "agent": "mailer", "agent_type": "Mailer", "state": "ready",
        "since": "2026-01-01T12:00:00Z", "at": "2026-01-01T12:10:00Z",
        "started": "2026-01-01T12:00:00Z", "uptime": 600.0, "pid": 7,
        "agent_version": "1.4.0", "microagent_version": "0.1.0",
        "bus": null, "broker": {"address": "local:data", "up": true, "reconnects": 0},
        "gaps": {"count": 0, "total": 0.0}, "strays": 0, "calls": {"waiting": 0, "late_answers": 0},
        "handlers": [{
            "name": "send", "kind": "queue", "source": "mailer", "received": 1_210, "done": 1_190,
            "failed": 8, "timed_out": 2, "panicked": 0, "undecodable": 0, "dropped": 0, "retried": 10,
            "dead_lettered": 0, "returned": 0, "redelivered": 10, "running": 2, "waiting": 8, "limit": 16,
            "durations": {"counts": [0, 0, 0, 1_100, 0, 90, 10], "sum": 30.0}
        }],
        "queues": [{
            "name": "mailer", "dead_letter_queue": "mailer.dead", "dead": 0,
            "at": "2026-01-01T12:10:00Z",
            "depth": {"waiting": 310, "in_flight": 10, "delayed": 3, "oldest_age": 2.5}
        }],
        "schedules": [{
            "handler": "report", "schedule": "1m", "next": "2026-01-01T12:11:00Z",
            "last": "2026-01-01T12:10:00Z", "delay": 0.004,
            "skipped": {"overlapping": 1, "late": 0, "without_lease": 0, "of_other_replicas": 0}
        }]
    })
}

fn member(name: &str, state: &str, status: Value) -> Value {
    json!({
        "name": name, "is_agent": true, "state": state, "since": "2026-01-01T12:09:53Z", "pid": 7,
        "age": 600.0, "restarts": 0, "memory_bytes": 9_961_472, "last_end": null, "status": status,
        "no_answer": null
    })
}

fn group(members: &[Value]) -> GroupStatus {
    let group = json!({
        "version": 1, "at": "2026-01-01T12:10:00Z", "launcher_pid": 6, "launcher_version": "0.1.0",
        "started": "2026-01-01T12:00:00Z", "members": members,
        "events": [{"at": "2026-01-01T12:00:01Z", "level": "INFO", "text": "all agents are ready: 1"}]
    });
    serde_json::from_value(group).unwrap()
}

fn first_line_of(members: &[Value]) -> (bool, String) {
    let group = group(members);
    (is_ready(&group), first_line(&group))
}

#[test]
fn a_ready_group() {
    let lines = render(&group(&[member("mailer", "ready", mailer())]), None, 80);
    let expected = "\
the agent is ready; nothing is lost, late or kept

AGENT   STATE  FOR   AGE     RESTARTS  MEMORY  VERSION  LAST END
mailer  ready  7.0s  10m00s  0         9.5M    1.4.0

HANDLER      DONE  FAILED  RATE   RUN   WAIT  P50    P95   P99
mailer.send  1190  10      2.0/s  2/16  8     7.7ms  36ms  49ms

QUEUE   WAITING  IN FLIGHT  DELAYED  DEAD  OLDEST  ERROR
mailer  310      10         3        0     2.5s

SCHEDULE       RULE  NEXT (UTC)  LAST (UTC)  DELAY  SKIPPED
mailer.report  1m    12:11:00    12:10:00    4.0ms  1

LAST EVENTS (UTC)
12:00:01 INFO all agents are ready: 1";
    assert_eq!(lines.join("\n"), expected);
}

#[test]
fn the_first_line_says_what_is_wrong_since_when_and_what_it_means() {
    let with = |field: &str, value: Value| {
        let mut status = mailer();
        status[field] = value;
        status
    };
    let blocking = json!([{"name": "Mailer.send", "since": "2026-01-01T12:09:50Z"}]);
    let mut blocked = with("blocking", blocking);
    blocked["state"] = "blocked".into();
    let mut killed = member("mailer", "backoff", Value::Null);
    killed["last_end"] = "was killed by SIGKILL".into();
    let mut restarted = killed.clone();
    restarted["state"] = "starting".into();
    let cases = [
        (
            restarted,
            "mailer was killed by SIGKILL and is starting again since 12:09:53 (7.0s): signals to it are lost, its messages are late and kept",
        ),
        (
            member("mailer", "ready", blocked.clone()),
            "mailer is blocked by Mailer.send since 12:09:50 (10s): its signals and messages are late and kept",
        ),
        (
            member("mailer", "blocked", blocked),
            "mailer is blocked by Mailer.send since 12:09:50 (10s): its signals and messages are late and kept",
        ),
        (
            killed,
            "mailer was killed by SIGKILL and waits for its restart since 12:09:53 (7.0s): signals to it are lost, its messages are late and kept",
        ),
        (
            member("mailer", "ready", with("state", "no_bus".into())),
            "mailer has no bus since 12:00:00 (10m00s): signals are lost until it is back",
        ),
        (
            member("mailer", "ready", with("state", "no_broker".into())),
            "mailer has no broker since 12:00:00 (10m00s): its messages are late and kept",
        ),
        (
            member("mailer", "ready", Value::Null),
            "mailer does not answer since 12:09:53 (7.0s): its work may be late",
        ),
        (
            member("mailer", "starting", Value::Null),
            "mailer is starting since 12:09:53 (7.0s): signals to it are lost, its messages are late and kept",
        ),
    ];
    for (member, expected) in cases {
        assert_eq!(first_line_of(&[member]), (false, expected.to_owned()));
    }
}

#[test]
fn the_worst_comes_first_and_the_others_are_counted() {
    let ready = member("calm", "ready", mailer());
    let stopping = member("last", "stopping", Value::Null);
    let killed = member("mailer", "killed", Value::Null);
    let (is_ready, line) = first_line_of(&[ready, stopping, killed]);
    let expected = "mailer is killed since 12:09:53 (7.0s): signals to it are lost, its messages are late and kept; 1 more is not ready";
    assert_eq!((is_ready, line.as_str()), (false, expected));
}

#[test]
fn a_ready_group_tells_of_lost_late_and_kept_work() {
    let mut status = mailer();
    status["gaps"] = json!({"count": 2, "total": 1.5, "last": "2026-01-01T12:05:00Z"});
    status["queues"][0]["dead"] = json!(3);
    status["queues"][0]["depth"]["oldest_age"] = json!(125.0);
    let twice = [
        member("mailer", "ready", status.clone()),
        member("other", "ready", status),
    ];
    let expected = "all 2 agents are ready; signals were lost in 2 gaps until 12:05:00, messages of mailer are late by 2m05s, 3 dead letters are kept";
    assert_eq!(first_line_of(&twice), (true, expected.to_owned()));
}

#[test]
fn with_an_earlier_status_rates_are_those_since_then() {
    let earlier = group(&[member("mailer", "ready", mailer())]);
    let mut status = mailer();
    status["at"] = "2026-01-01T12:10:10Z".into();
    status["handlers"][0]["durations"]["counts"][0] = json!(50);
    let now = group(&[member("mailer", "ready", status)]);
    let lines = render(&now, Some(&earlier), 80);
    let row = lines
        .iter()
        .find(|line| line.starts_with("mailer.send"))
        .unwrap();
    assert!(
        row.contains("  5.0/s  ") && row.contains("  0.5ms  "),
        "{row}"
    );
}

#[test]
fn no_line_but_the_first_is_wider_than_the_terminal() {
    let mut failed = member(&"x".repeat(64), "backoff", mailer());
    failed["last_end"] = "was killed by SIGKILL".into();
    let lines = render(&group(&[failed]), None, 60);
    assert!(
        lines[1..].iter().all(|line| line.chars().count() <= 60),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.ends_with('…')), "{lines:?}");
}

#[test]
fn durations_have_two_or_three_digits() {
    let texts = [0.0, 0.000_04, 0.25, 1.5, 59.0, 61.0, 3_661.0, 90_000.0]
        .map(|seconds| short(Duration::from_secs_f64(seconds)));
    assert_eq!(
        texts,
        [
            "0s", "0.0ms", "250ms", "1.5s", "59s", "1m01s", "1h01m", "1d01h"
        ]
    );
}
