//! `queue …` on Kafka: what it offers, while a queue is consumed and when nobody consumes it, and a reason for each thing that it does
//! not.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    driver::Driver,
    group::{Group, marun},
    queue::Queues,
};

microagent_testing::needs! {
    kafka {
        fn queues_on_kafka_are_shown_and_changed_by_hand,
    }
}

/// Retries would take time here.
const STRICT: &str = "[agent.worker.handlers.work]\non_error = 'dead_letter'\n";

/// One test for all, as a server needs seconds to start.
fn queues_on_kafka_are_shown_and_changed_by_hand() {
    let driver = Driver::kafka();
    let queues = Queues::of(&driver, STRICT);
    a_queue_that_nobody_declared_is_empty(&queues);
    a_consumed_queue_is_only_looked_at(&queues);
    waiting_messages_are_shown_and_removed(&queues);
    dead_letters_are_shown_and_go_back_to_work(&queues);
}

/// The messages `fail` of these rows.
fn reasons(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["payload"]["fail"].as_str().unwrap())
        .collect()
}

fn numbers(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["payload"]["n"].as_str().unwrap())
        .collect()
}

/// The command fails with one line that has this text.
fn refused(queues: &Queues, line: &str, reason: &str) {
    let (code, out, message) = queues.run(line);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{line}: {message}");
    assert!(message.contains(reason), "{line}: {message}");
    assert_eq!(message.lines().count(), 1, "{line}: {message}");
}

fn a_queue_that_nobody_declared_is_empty(queues: &Queues) {
    let missing = "queue `jobs` does not exist: declare it, or start its consumer first";
    refused(queues, "send jobs n=1", missing);
    let empty = "0 waiting, 0 in flight, 0 delayed, 0 dead\n";
    assert_eq!(queues.done("length jobs"), empty);
    assert_eq!(queues.done("requeue jobs"), "0\n");
    assert_eq!(queues.done("purge jobs --yes"), "0\n");
    // None of these has created it.
    refused(queues, "send jobs n=1", missing);
}

/// Leaves three dead letters.
fn a_consumed_queue_is_only_looked_at(queues: &Queues) {
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("all agents are ready");
    for reason in ["first", "second", "third"] {
        queues.done(&format!("send jobs n=1 fail={reason} --key {reason}"));
        // One after the other, so that their order is known.
        group.wait_for(reason);
        group.wait_for_next("message parked");
    }
    let consumed = "queue `jobs` has consumers: stop them first";
    refused(queues, "purge jobs --yes", consumed);
    refused(queues, "requeue other --from jobs", consumed);
    let rows = queues.rows("dead jobs");
    assert_eq!(reasons(&rows), ["first", "second", "third"]);
    assert_eq!(
        (&rows[0]["reason"], &rows[0]["queue"], &rows[0]["attempts"]),
        (&json!("failed"), &json!("jobs"), &json!(1))
    );
    assert_eq!(rows[0]["key"], "first", "a dead letter keeps its key");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

fn waiting_messages_are_shown_and_removed(queues: &Queues) {
    queues.done("send jobs n=1 --key user");
    for n in 2..=4 {
        queues.done(&format!("send jobs n={n}"));
    }
    let length = queues.done("length jobs --json");
    let length: Value = serde_json::from_str(&length).unwrap();
    let expected = json!({"queue": "jobs", "waiting": 4, "in_flight": 0, "delayed": 0, "dead": 3});
    assert_eq!(length, expected);
    let rows = queues.rows("peek jobs");
    assert_eq!(numbers(&rows), ["1", "2", "3", "4"]);
    assert_eq!(
        (&rows[0]["attempt"], &rows[0]["key"]),
        (&json!(1), &json!("user"))
    );
    assert_eq!(rows[1]["key"], Value::Null);
    let table = queues.done("peek jobs");
    let lines = table.lines();
    let keys: Vec<_> = lines
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(keys, ["KEY", "user", "-", "-", "-"], "{table}");
    let (_, _, message) = queues.run("peek jobs --limit 2");
    assert!(message.contains("showing 2 of 4"), "{message}");

    let id = rows[2]["id"].as_str().unwrap();
    assert_eq!(queues.done(&format!("purge jobs --yes --id {id}")), "1\n");
    assert_eq!(numbers(&queues.rows("peek jobs")), ["1", "2", "4"]);
    assert_eq!(queues.done("purge jobs --yes --limit 1"), "1\n");
    assert_eq!(numbers(&queues.rows("peek jobs")), ["2", "4"]);
    assert_eq!(queues.done("purge jobs --yes"), "2\n");
    refused(queues, &format!("purge jobs --yes --id {id}"), "no message");
    refused(
        queues,
        "release jobs",
        "releasing `jobs` is not supported by `kafka://",
    );
}

fn dead_letters_are_shown_and_go_back_to_work(queues: &Queues) {
    let rows = queues.rows("dead jobs");
    let id = rows[1]["id"].as_str().unwrap();
    let found = queues.rows(&format!("dead jobs --id {id}"));
    assert_eq!(reasons(&found), ["second"]);
    assert_eq!(queues.done(&format!("requeue jobs --id {id}")), "1\n");
    assert_eq!(reasons(&queues.rows("dead jobs")), ["first", "third"]);
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("second");
    group.wait_for_next("message parked");
    // Dead letters have no consumer, so they can be moved while the queue has one.
    assert_eq!(queues.done("requeue jobs --limit 1"), "1\n");
    group.wait_for("first");
    group.wait_for_next("message parked");
    assert_eq!(queues.done("requeue jobs --rate 50/s"), "3\n");
    group.wait_for("third");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}
