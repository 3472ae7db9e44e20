//! Groups whose agents meet, mostly on `local:`, whose hub the launcher hosts, and the commands
//! that talk to them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    driver::{Driver, on_every_driver},
    group::{Folder, Group, marun, output_of},
};

const WIRED: &str = "
    [bus.main]
    dsn = 'local:data'
    [broker.main]
    dsn = 'local:./data'
    [agent.responder]
    backend = 'Responder'
    bus = 'main'
    grace = 1
    [agent.worker]
    backend = 'Worker'
    broker = 'main'
";

/// The same on another driver.
fn wired(driver: &Driver) -> String {
    let dsn = &driver.dsn;
    WIRED
        .replace("local:data", dsn)
        .replace("local:./data", dsn)
}

on_every_driver![
    a_call_is_answered_refused_and_given_up,
    signals_are_printed_until_an_interrupt,
    a_listener_ends_when_nobody_reads_it,
];

/// Runs the words of a line on a group's settings, outside of its folder.
fn run(group: &Group, line: &str) -> (Option<i32>, String, String) {
    let settings = group.folder.settings();
    let words: Vec<_> = line
        .split_whitespace()
        .chain(["--settings", &settings])
        .collect();
    output_of(marun(), &words)
}

fn stop(mut group: Group) -> Folder {
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.folder.clone()
}

fn a_call_is_answered_refused_and_given_up(driver: &Driver) {
    let mut group = Group::start(&wired(driver));
    group.wait_until_ready();
    let answer = (
        Some(0),
        "{\"Responder.answer\":8}\n".to_owned(),
        String::new(),
    );
    assert_eq!(run(&group, "signal call ask n:=7"), answer);

    assert_eq!(
        run(&group, "signal call ask n:=7 --all --timeout 60"),
        answer
    );

    let (code, out, message) = run(&group, "signal call ask n:=0");
    assert_eq!(
        (code, out.contains("$errors"), out.contains("zero")),
        (Some(1), true, true)
    );
    assert!(message.contains("a receiver failed"), "{message}");

    let (code, out, message) = run(&group, "signal call ask n:=-1 --timeout 300ms");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{message}");
    assert!(message.contains("no answer to `ask`"), "{message}");

    // At once: in little more than it takes to send the same.
    let sent = Instant::now();
    assert_eq!(run(&group, "signal send other").0, Some(0));
    let (sent, called) = (sent.elapsed(), Instant::now());
    let (code, _, message) = run(&group, "signal call other --timeout 60");
    assert_eq!(code, Some(3), "{message}");
    let called = called.elapsed();
    assert!(
        called < 2 * sent + Duration::from_secs(1),
        "{called:?}, {sent:?}"
    );
    stop(group);
}

#[test]
fn messages_wait_without_a_group_and_are_handled_by_the_next() {
    let folder = Folder::of(WIRED);
    let settings = folder.settings();
    let run = |words: &[&str]| output_of(marun(), &[words, &["--settings", &settings]].concat());
    for n in ["n:=1", "n:=2"] {
        assert_eq!(run(&["queue", "send", "jobs", n]).0, Some(0));
    }
    let (code, out, message) = run(&["queue", "length", "jobs"]);
    assert_eq!((code, message.as_str()), (Some(0), ""));
    assert!(out.starts_with("2 waiting, "), "{out}");
    assert!(
        folder.path("data").is_dir(),
        "a relative folder starts at the settings file"
    );

    let mut group = Group::run(marun(), folder, &[]);
    group.wait_for("job {\"n\":1}");
    group.wait_for("job {\"n\":2}");
    let folder = stop(group);
    let (_, out, _) = run(&["queue", "length", "jobs"]);
    assert!(out.starts_with("0 waiting, "), "{out}");
    drop(folder);
}

#[test]
fn a_group_starts_where_one_was_killed() {
    let mut group = Group::start(WIRED);
    group.wait_until_ready();
    group.kill_supervisor(Duration::from_secs(1));
    let mut group = Group::run(marun(), group.folder.clone(), &[]);
    group.wait_until_ready();
    assert_eq!(run(&group, "signal call ask n:=1").0, Some(0));
    stop(group);
}

#[test]
fn two_groups_share_a_folder() {
    let mut first = Group::start(WIRED);
    first.wait_until_ready();
    let data = first.folder.path("data").display().to_string();
    let second = format!(
        "[bus.main]\ndsn = 'local:{data}'\n[agent.other]\nbackend = 'Responder'\nbus = 'main'\n"
    );
    let mut second = Group::start(&second);
    second.wait_until_ready();
    assert_eq!(run(&second, "signal call ask n:=1").0, Some(0));
    stop(second);
    assert_eq!(run(&first, "signal call ask n:=1").0, Some(0));
    stop(first);
}

fn signals_are_printed_until_an_interrupt(driver: &Driver) {
    let mut group = Group::start(&wired(driver));
    group.wait_until_ready();
    let mut listener = listen(driver, &group);
    assert_eq!(run(&group, "signal send ask n:=5 --sender web").0, Some(0));
    assert_eq!(run(&group, "signal call ask n:=6").0, Some(0));
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), r#"{"signal":"ask","sender":"web","args":{"n":5}}"#);
    let called: serde_json::Value = serde_json::from_str(&next()).unwrap();
    assert_eq!(
        (&called["sender"], &called["args"]["n"]),
        (&"marun".into(), &6.into())
    );
    assert!(called["call"].is_string());

    kill_process(Pid::from_child(&listener), Signal::INT).unwrap();
    assert_eq!(listener.wait().unwrap().code(), Some(0));
    stop(group);
}

fn a_listener_ends_when_nobody_reads_it(driver: &Driver) {
    let mut group = Group::start(&wired(driver));
    group.wait_until_ready();
    let mut listener = listen(driver, &group);
    drop(listener.stdout.take());
    assert_eq!(run(&group, "signal send ask n:=5").0, Some(0));
    assert_eq!(listener.wait().unwrap().code(), Some(0));
    stop(group);
}

/// A command that listens already.
fn listen(driver: &Driver, group: &Group) -> Child {
    let mut command = marun();
    command.args([
        "signal",
        "listen",
        "ask",
        "--settings",
        &group.folder.settings(),
    ]);
    let mut listener = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notice = String::new();
    BufReader::new(listener.stderr.take().unwrap())
        .read_line(&mut notice)
        .unwrap();
    assert!(
        notice.starts_with(&format!(
            "marun: listening to `ask` on {}:",
            driver.scheme()
        )),
        "{notice}"
    );
    listener
}
