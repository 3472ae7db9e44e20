//! `queue …` on RabbitMQ: what it offers, and a reason for each thing that it does not.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    driver::Driver,
    group::{Group, marun, output_of},
    queue::Queues,
};

microagent_testing::needs! {
    rabbitmq {
        fn a_message_needs_a_queue_that_somebody_declared,
        fn dead_letters_are_shown_and_go_back_to_work_the_oldest_first,
        fn what_rabbitmq_does_not_offer_is_refused_with_its_reason,
        fn a_refused_login_is_an_error_that_names_the_place,
    }
}

/// Retries would take time here.
const STRICT: &str = "[agent.worker.handlers.work]\non_error = 'dead_letter'\n";

/// Queues that a worker has declared, with one dead letter for each of these reasons.
fn with_dead(name: &str, reasons: &[&str]) -> Queues {
    let queues = Queues::of(&Driver::rabbitmq(name), STRICT);
    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("all agents are ready");
    for reason in reasons {
        queues.done(&format!("send jobs n=1 fail={reason}"));
        // One after the other, so that their order is known.
        group.wait_for(reason);
        group.wait_for_next("message parked");
    }
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    queues
}

fn reasons(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["payload"]["fail"].as_str().unwrap())
        .collect()
}

fn a_message_needs_a_queue_that_somebody_declared() {
    let queues = Queues::of(&Driver::rabbitmq("undeclared"), "");
    let (code, out, message) = queues.run("send jobs n=1");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let reason = "queue `jobs` does not exist: declare it, or start its consumer first";
    assert!(message.contains(reason), "{message}");
    assert_eq!(queues.done("length jobs"), "0 waiting, 0 dead\n");
    assert_eq!(queues.done("requeue jobs"), "0\n");
    assert_eq!(queues.done("purge jobs --yes"), "0\n");

    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    group.wait_for("all agents are ready");
    queues.done("send jobs n=2");
    group.wait_for(r#"job {"n":"2"}"#);
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    for n in 3..=5 {
        queues.done(&format!("send jobs n={n}"));
    }
    let length = queues.done("length jobs --json");
    let length: Value = serde_json::from_str(&length).unwrap();
    assert_eq!(length, json!({"queue": "jobs", "waiting": 3, "dead": 0}));
    assert_eq!(queues.done("purge jobs --yes --limit 1"), "1\n");
    assert_eq!(queues.done("purge jobs --yes"), "2\n");
}

fn dead_letters_are_shown_and_go_back_to_work_the_oldest_first() {
    let queues = with_dead("dead", &["first", "second", "third"]);
    for _ in 0..2 {
        let rows = queues.rows("dead jobs");
        assert_eq!(reasons(&rows), ["first", "second", "third"]);
        assert_eq!(
            (&rows[0]["reason"], &rows[0]["queue"], &rows[0]["attempts"]),
            (&json!("failed"), &json!("jobs"), &json!(1))
        );
    }
    assert_eq!(queues.done("length jobs"), "0 waiting, 3 dead\n");
    assert_eq!(queues.rows("peek jobs.dead --limit 2").len(), 2);
    let rows = queues.rows("dead jobs");
    let id = rows[1]["id"].as_str().unwrap();
    assert_eq!(
        reasons(&queues.rows(&format!("dead jobs --id {id}"))),
        ["second"]
    );

    assert_eq!(queues.done("requeue jobs --limit 1"), "1\n");
    assert_eq!(reasons(&queues.rows("dead jobs")), ["second", "third"]);
    assert_eq!(queues.done("requeue jobs --rate 50/s"), "2\n");
    assert_eq!(queues.done("length jobs"), "3 waiting, 0 dead\n");

    let mut group = Group::run(marun(), queues.0.clone(), &[]);
    for reason in ["first", "second", "third"] {
        group.wait_for(reason);
    }
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

fn what_rabbitmq_does_not_offer_is_refused_with_its_reason() {
    let queues = with_dead("refused", &["once"]);
    queues.done("send jobs n=2");
    for (line, reason) in [
        ("peek jobs", "dead letters can be looked at"),
        ("requeue jobs --id 7", "id"),
        ("purge jobs --yes --id 7", "id"),
        ("release jobs", "releasing `jobs` is not supported"),
    ] {
        let (code, out, message) = queues.run(line);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{line}: {message}");
        assert!(
            message.contains(reason) && message.contains("not supported"),
            "{line}: {message}"
        );
        assert!(message.contains("amqp"), "{line}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    assert_eq!(queues.done("length jobs"), "1 waiting, 1 dead\n");
}

fn a_refused_login_is_an_error_that_names_the_place() {
    let dsn = Driver::rabbitmq("login").dsn;
    let (wrong_password, elsewhere) = (
        dsn.replace("guest:guest@", "guest:s3cret@"),
        dsn.replace("/login", "/nowhere"),
    );
    for (dsn, place) in [(&wrong_password, "/login"), (&elsewhere, "/nowhere")] {
        let arguments = ["queue", "length", "jobs", "--broker", dsn];
        let (code, out, message) = output_of(marun(), &arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{message}");
        assert!(
            message.contains("amqp://127.0.0.1:") && message.contains(place),
            "{message}"
        );
        assert!(!message.contains("s3cret"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
