//! The traces of a group: real agents that export to a collector, and what they do without one.

#[path = "../../../microagent-otel/tests/support/mod.rs"]
mod support;

use std::{net::TcpListener, process::Command};

use rustix::process::Signal;

use crate::{
    group::{Folder, Group, marun},
    load,
};
use support::{Collector, assert_child, attribute};

/// The messages that the worker handles.
const JOBS: usize = 300;

/// A worker on a queue of `local:`, and a task of every second.
fn agents() -> Folder {
    let clock = "[agent.clock]\nbackend = 'Unsteady'\nhandlers.tick.jitter = '0s'\n";
    load::folder(&[load::worker("worker", "{}", ""), clock.to_owned()])
}

/// The launcher, whose agents export to this endpoint.
fn exporting_to(endpoint: &str) -> Command {
    let mut launcher = marun();
    launcher.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    launcher.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    launcher
}

/// Sends the jobs, and waits until each of them is done.
fn work(group: &mut Group) {
    load::send(&group.folder, 0..JOBS);
    for n in 0..JOBS {
        group.wait_for(&format!("job {{\"n\":{n}}}"));
    }
}

/// Stops the group, whose agents end in time.
fn stop(mut group: Group) -> Group {
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    assert_eq!(group.count("killed"), 0, "{}", group.log());
    assert_eq!(load::length(&group.folder, "jobs"), 0);
    group
}

#[test]
fn each_agent_exports_its_spans_under_its_own_name() {
    let collector = Collector::start();
    let mut group = Group::run(exporting_to(&collector.endpoint()), agents(), &[]);
    group.wait_until_ready();
    work(&mut group);
    collector.wait_for("worker", "process jobs", JOBS);
    collector.wait_for("worker", "settle jobs", JOBS);
    collector.wait_for("clock", "run tick", 1);
    stop(group);

    let run = &collector.spans("process jobs")[0];
    assert_eq!(attribute(run, "microagent.agent"), "worker");
    assert_eq!(attribute(run, "microagent.handler"), "work");
    assert_eq!(attribute(run, "messaging.system"), "local");
    let settlements = collector.spans("settle jobs").into_iter();
    let [settlement] = &*settlements
        .filter(|settlement| settlement.trace_id == run.trace_id)
        .collect::<Vec<_>>()
    else {
        panic!("not one settlement of {run:?}")
    };
    assert_child(settlement, run);
    let is_agent = |service: &String| service == "worker" || service == "clock";
    assert!(collector.services().iter().all(is_agent));
}

#[test]
fn a_collector_that_is_away_is_logged_once_by_each_agent_and_delays_nothing() {
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", refusing.local_addr().unwrap());
    drop(refusing);
    let mut group = Group::run(exporting_to(&endpoint), agents(), &[]);
    group.wait_until_ready();
    work(&mut group);
    for agent in ["worker", "clock"] {
        while !group.has(&[agent, "cannot export traces", &endpoint]) {
            group.next_line();
        }
    }
    let group = stop(group);
    assert_eq!(group.count("cannot export traces"), 2, "{}", group.log());
}

/// Its connections are accepted by the system, and nobody reads them.
#[test]
fn a_collector_that_never_answers_delays_no_message_and_no_stop() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut launcher = exporting_to(&endpoint);
    launcher.env("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    launcher.env("OTEL_BSP_MAX_QUEUE_SIZE", "10");
    launcher.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10");
    let mut group = Group::run(launcher, agents(), &[]);
    group.wait_until_ready();
    work(&mut group);
    stop(group);
    // An export has reached it.
    silent.accept().unwrap();
}

#[test]
fn an_invalid_variable_of_the_exporter_ends_the_agents_with_an_error_that_names_it() {
    let cases = [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "localhost:4318",
            "invalid OTEL_EXPORTER_OTLP_ENDPOINT `localhost:4318`: expected `http://HOST[:PORT]` or `https://HOST[:PORT]`",
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "invalid OTEL_EXPORTER_OTLP_PROTOCOL `grpc`: expected `http/protobuf`",
        ),
    ];
    for (name, value, error) in cases {
        let mut launcher = exporting_to("http://localhost:4318");
        launcher.env(name, value);
        let mut group = Group::run(launcher, agents(), &[]);
        assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
        assert!(group.has(&[error]), "{}", group.log());
    }
}
