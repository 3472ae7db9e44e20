//! `queue length`, `peek`, `dead`, `requeue` and `purge` on every driver.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    driver::{Driver, on_every_driver},
    group::{Folder, Group, in_terminal, marun, output_of},
};

on_every_driver![
    a_look_takes_nothing,
    the_number_of_messages_not_shown_is_printed,
    dead_letters_tell_why_and_go_back_to_work,
    the_settings_decide_what_follows_a_failure,
    a_start_that_fails_or_is_stopped_counts_no_crash,
    the_oldest_dead_letters_go_back_first,
    dead_letters_may_be_elsewhere,
    one_dead_letter_is_chosen_by_its_id,
    one_message_or_the_first_ones_are_removed,
    dead_letters_go_back_at_a_rate,
    the_length_tells_every_state,
    only_what_was_meant_is_removed,
    on_a_terminal_purge_asks,
    a_queue_is_released_where_others_share_it,
    wrong_names_say_what_is_right,
    a_key_is_refused_without_keys,
];

/// A folder of messages without a group.
pub(crate) struct Queues(pub(crate) Folder);

impl Queues {
    fn empty(driver: &Driver) -> Self {
        Self::of(driver, "")
    }

    /// With a worker, and these lines of its settings.
    pub(crate) fn of(driver: &Driver, lines: &str) -> Self {
        let dsn = &driver.dsn;
        Self(Folder::of(&format!(
            "[broker.main]\ndsn = '{dsn}'\n[agent.worker]\nbackend = 'Worker'\nbroker = 'main'\n{lines}"
        )))
    }

    /// `count` messages `{"n":"1"}` and so on wait in this queue.
    fn with(driver: &Driver, queue: &str, count: u32) -> Self {
        let queues = Self::empty(driver);
        for n in 1..=count {
            queues.done(&format!("send {queue} n={n}"));
        }
        queues
    }

    /// Runs the words of a line after `queue`.
    pub(crate) fn run(&self, line: &str) -> (Option<i32>, String, String) {
        let settings = self.0.settings();
        let words = ["queue"].into_iter().chain(line.split_whitespace());
        let words: Vec<_> = words.chain(["--settings", &settings]).collect();
        output_of(marun(), &words)
    }

    /// Runs what must succeed without a message; what it prints.
    pub(crate) fn done(&self, line: &str) -> String {
        let (code, out, message) = self.run(line);
        assert_eq!((code, message.as_str()), (Some(0), ""), "{line}: {out}");
        out
    }

    /// So many messages wait in this queue.
    fn holds(&self, queue: &str, waiting: u64) {
        let length = self.done(&format!("length {queue} --json"));
        let length: Value = serde_json::from_str(&length).unwrap();
        assert_eq!(length["waiting"], waiting, "{length}");
    }

    pub(crate) fn rows(&self, line: &str) -> Vec<Value> {
        let (code, out, message) = self.run(&format!("{line} --json"));
        assert_eq!(code, Some(0), "{line}: {message}");
        let rows = out.lines().map(|row| serde_json::from_str(row).unwrap());
        rows.collect()
    }
}

fn payloads(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["payload"]["n"].as_str().unwrap())
        .collect()
}

fn a_look_takes_nothing(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 3);
    for _ in 0..2 {
        let rows = queues.rows("peek jobs");
        assert_eq!(payloads(&rows), ["1", "2", "3"]);
        assert_eq!(rows[0]["attempt"], 1);
    }
    queues.holds("jobs", 3);

    let table = queues.done("peek jobs");
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("ID ") && lines[0].ends_with("  ATTEMPT  MESSAGE"),
        "{table}"
    );
    assert!(lines[1].ends_with(r#"  1        {"n":"1"}"#), "{table}");
    assert_eq!(lines.len(), 4);
}

fn the_number_of_messages_not_shown_is_printed(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 3);
    let (code, out, message) = queues.run("peek jobs --limit 2 --json");
    assert_eq!((code, out.lines().count()), (Some(0), 2));
    assert_eq!(
        message,
        "marun: showing 2 of 3 messages of `jobs`; use --limit N to see more\n"
    );
    let empty = |queue: &str| {
        (
            Some(0),
            String::new(),
            format!("marun: no message waits in `{queue}`\n"),
        )
    };
    assert_eq!(queues.run("peek other"), empty("other"));
    assert_eq!(queues.run("dead jobs --json"), empty("jobs.dead"));
}

fn dead_letters_tell_why_and_go_back_to_work(driver: &Driver) {
    let queues = Queues::empty(driver);
    queues.done("send jobs n=1 refuse=unknown_customer");
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("unknown_customer");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());

    let rows = queues.rows("dead jobs");
    let row = &rows[0];
    assert_eq!(rows.len(), 1);
    for (key, expected) in [
        ("reason", json!("terminal")),
        ("queue", json!("jobs")),
        ("attempts", json!(1)),
        ("first_at", row["at"].clone()),
        ("payload", json!({"n": "1", "refuse": "unknown_customer"})),
    ] {
        assert_eq!(row[key], expected, "{key} of {row}");
    }
    assert!(
        row["detail"].as_str().unwrap().contains("unknown_customer"),
        "{row}"
    );
    assert!(row["at"].as_str().unwrap().ends_with('Z'), "{row}");
    let table = queues.done("dead jobs");
    assert!(
        table.starts_with("ID ")
            && table.contains("  DIED (UTC)           REASON    ATTEMPTS  DETAIL"),
        "{table}"
    );
    let id = row["id"].as_str().unwrap();
    let cells = table.lines().nth(1).unwrap();
    assert!(cells.starts_with(&format!("{id}  ")), "{table}");
    assert!(table.contains("  terminal  1         "), "{table}");

    assert_eq!(queues.done("requeue jobs"), "1\n");
    queues.holds("jobs.dead", 0);
    let rows = queues.rows("peek jobs");
    assert_eq!(
        (&rows[0]["attempt"], &rows[0]["headers"]),
        (&json!(1), &Value::Null)
    );
}

fn the_settings_decide_what_follows_a_failure(driver: &Driver) {
    let strict = "[agent.worker.handlers.work]\non_error = 'dead_letter'\ndead_letter = 'parked'\n";
    let queues = Queues::of(driver, strict);
    queues.done("send jobs n=1 fail=smtp_said_no");
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("smtp_said_no");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    let rows = queues.rows("dead jobs --from parked");
    assert_eq!(
        (&rows[0]["reason"], &rows[0]["attempts"]),
        (&json!("failed"), &json!(1)),
        "without the settings it would wait for a retry"
    );
}

/// Consumers begin before `post_start` has ended.
fn a_start_that_fails_or_is_stopped_counts_no_crash(driver: &Driver) {
    for (start, code) in [("hang", 0), ("fail", 1)] {
        let job = format!(r#"{{"n":"{start}"}}"#);
        let settings = format!("grace = 1\nsettings = {{ pause = 600, start = '{start}' }}\n");
        let queues = Queues::of(driver, &settings);
        queues.done(&format!("send jobs n={start}"));
        let mut group = Group::run(marun(), queues.0, &[]);
        group.wait_for(&format!("began {job}"));
        if start == "hang" {
            group.signal(Signal::INT);
        }
        assert_eq!(group.wait_for_end(), Some(code), "{}", group.log());

        let mut group = Group::run(marun(), Queues::empty(driver).0, &[]);
        group.wait_for(&format!("job {job}"));
        assert_eq!(group.count("suspect"), 0, "{}", group.log());
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    }
}

fn the_oldest_dead_letters_go_back_first(driver: &Driver) {
    let queues = Queues::with(driver, "jobs.dead", 3);
    queues.done("send jobs n=0");
    assert_eq!(queues.done("requeue jobs --limit 2"), "2\n");
    assert_eq!(payloads(&queues.rows("peek jobs")), ["0", "1", "2"]);
    assert_eq!(payloads(&queues.rows("dead jobs")), ["3"]);
    assert_eq!(
        queues.rows("dead jobs")[0]["reason"],
        Value::Null,
        "nobody said why"
    );
    assert_eq!(queues.done("requeue jobs"), "1\n");
    assert_eq!(queues.done("requeue jobs"), "0\n");
}

fn dead_letters_may_be_elsewhere(driver: &Driver) {
    let queues = Queues::with(driver, "parked", 1);
    assert_eq!(payloads(&queues.rows("dead jobs --from parked")), ["1"]);
    assert_eq!(queues.done("requeue jobs --from parked"), "1\n");
    assert_eq!(payloads(&queues.rows("peek jobs")), ["1"]);
}

/// The id of each row, in their order.
fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn one_dead_letter_is_chosen_by_its_id(driver: &Driver) {
    let queues = Queues::with(driver, "jobs.dead", 3);
    let rows = queues.rows("dead jobs");
    let middle = ids(&rows)[1];
    let shown = queues.rows(&format!("dead jobs --id {middle}"));
    assert_eq!(payloads(&shown), ["2"]);

    let requeue = format!("requeue jobs --id {middle}");
    assert_eq!(queues.done(&requeue), "1\n");
    assert_eq!(payloads(&queues.rows("dead jobs")), ["1", "3"]);
    assert_eq!(payloads(&queues.rows("peek jobs")), ["2"]);
    for line in [requeue, format!("dead jobs --id {middle}")] {
        let (code, out, message) = queues.run(&line);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{line}");
        let hint = if line.starts_with("dead") {
            "; `queue dead` without --id shows the ids"
        } else {
            "; `queue dead` shows the ids"
        };
        let expected =
            format!("marun: no message with the id `{middle}` waits in `jobs.dead`{hint}\n");
        assert_eq!(message, expected, "{line}");
    }
}

fn one_message_or_the_first_ones_are_removed(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 4);
    let rows = queues.rows("peek jobs");
    let third = ids(&rows)[2];
    let purge = format!("purge jobs --yes --id {third}");
    assert_eq!(queues.done(&purge), "1\n");
    let (code, out, message) = queues.run(&purge);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let expected = format!(
        "marun: no message with the id `{third}` waits in `jobs`; `queue peek` shows the ids\n"
    );
    assert_eq!(message, expected);
    assert_eq!(queues.done("purge jobs --yes --limit 2"), "2\n");
    assert_eq!(payloads(&queues.rows("peek jobs")), ["4"]);
}

fn dead_letters_go_back_at_a_rate(driver: &Driver) {
    let queues = Queues::with(driver, "jobs.dead", 4);
    let began = Instant::now();
    assert_eq!(queues.done("requeue jobs --rate 4/s --limit 3"), "3\n");
    // The first one goes at once, and each other one 250 ms after the one before.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert_eq!(payloads(&queues.rows("peek jobs")), ["1", "2", "3"]);
    assert_eq!(payloads(&queues.rows("dead jobs")), ["4"]);
}

fn the_length_tells_every_state(driver: &Driver) {
    let queues = Queues::of(driver, "[agent.worker.handlers.work]\nretry = ['1h']\n");
    queues.done("send jobs n=1 fail=later");
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("later");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    queues.done("send jobs n=2");
    queues.done("send jobs.dead n=3");

    let line = queues.done("length jobs");
    assert_eq!(line, "1 waiting, 0 in flight, 1 delayed, 1 dead\n");
    let json = queues.done("length jobs --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    let expected = json!({
        "queue": "jobs", "waiting": 1, "in_flight": 0, "delayed": 1, "dead": 1
    });
    assert_eq!(json, expected);
    assert_eq!(
        queues.done("length jobs.dead"),
        "1 waiting, 0 in flight, 0 delayed\n"
    );
}

fn only_what_was_meant_is_removed(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 2);
    queues.done("send jobs.dead n=3");
    let (code, out, message) = queues.run("purge jobs");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(message.contains("missing --yes"), "{message}");
    queues.holds("jobs", 2);
    assert_eq!(queues.done("purge jobs --yes"), "2\n");
    queues.holds("jobs", 0);
    assert_eq!(queues.done("purge jobs.dead --yes"), "1\n");
}

fn on_a_terminal_purge_asks(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 2);
    for (answer, code, left) in [("\n", 1, 2), ("no\n", 1, 2), ("y\n", 0, 0)] {
        let settings = queues.0.settings();
        let purge = ["queue", "purge", "jobs", "--settings", &settings];
        let (mut command, mut terminal) = in_terminal(&purge);
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut asked = String::new();
        while !asked.contains("[y/N] ") {
            let mut some = [0; 256];
            let read = terminal.read(&mut some).unwrap();
            asked.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        assert!(
            asked.contains(&format!(
                "delete the 2 waiting message(s) of `jobs` on {}:",
                driver.scheme()
            )),
            "{asked}"
        );
        terminal.write_all(answer.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{answer:?}");
        queues.holds("jobs", left);
    }
}

fn a_queue_is_released_where_others_share_it(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 2);
    let (code, out, message) = queues.run("release jobs");
    match driver.scheme() {
        "redis" => assert_eq!((code, out.as_str()), (Some(0), "0\n"), "{message}"),
        _ => {
            assert_eq!((code, out.as_str()), (Some(1), ""));
            assert!(
                message.contains("releasing `jobs` is not supported"),
                "{message}"
            );
        }
    }
    queues.holds("jobs", 2);
}

fn wrong_names_say_what_is_right(driver: &Driver) {
    let queues = Queues::empty(driver);
    for (line, expected) in [
        ("dead jobs.dead", "expected the queue itself, `jobs`"),
        ("requeue jobs.dead", "expected the queue itself, `jobs`"),
        (
            "requeue jobs --from jobs",
            "invalid --from `jobs`: expected another queue",
        ),
        ("peek Jobs", "Jobs"),
        ("purge a.b --yes", "a.b"),
    ] {
        let (code, out, message) = queues.run(line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}: {message}");
        assert!(message.contains(expected), "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

fn a_key_is_refused_without_keys(driver: &Driver) {
    let queues = Queues::with(driver, "jobs", 1);
    let (code, out, message) = queues.run("send jobs n=2 --key user");
    assert_eq!((code, out.as_str()), (Some(1), ""), "{message}");
    let expected = "does not offer `key` of a message for `jobs`";
    assert!(message.contains(expected), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    queues.holds("jobs", 1);
    let table = queues.done("peek jobs");
    assert!(!table.contains("KEY"), "{table}");
}
