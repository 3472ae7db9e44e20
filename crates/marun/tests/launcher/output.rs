//! The one log of a group: whose line it is, and that none is lost.

use rustix::process::Signal;
use serde_json::Value;

use crate::group::{Folder, Group, marun};

fn agent(name: &str, settings: &str) -> String {
    format!("[agent.{name}]\nbackend = 'Actor'\nsettings = {settings}\n")
}

#[test]
fn each_line_names_its_agent() {
    let agents = [
        agent("a", r#"{ say = "one\n", complain = "two\n" }"#),
        agent("longer_name", r#"{ say = "three\n" }"#),
    ];
    let mut group = Group::start(&agents.concat());
    for line in [
        "a           | one",
        "a           | two",
        "longer_name | three",
    ] {
        group.wait_for(line);
    }
    group.wait_until_ready();
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["marun       | ", "all agents are ready: 2"]);
}

#[test]
fn the_last_line_needs_no_newline_and_a_long_one_is_cut_but_complete() {
    let long = "ü".repeat(100_000);
    let agents = agent(
        "a",
        &format!(r#"{{ say = "{long}\nlast", start = "exit" }}"#),
    );
    let mut group = Group::start(&agents);
    assert_eq!(group.wait_for_end(), Some(1), "an end before it was ready");
    group.assert_has(&["a     | last"]);
    let log = group.log();
    let pieces = log
        .lines()
        .filter_map(|line| line.strip_prefix("a     | ü"));
    let letters: usize = pieces.map(|piece| piece.chars().count() + 1).sum();
    assert_eq!(letters, 100_000);
}

#[test]
fn for_machines_each_line_is_an_object() {
    let folder = Folder::of(&agent("a", r#"{ say = "plain\n" }"#));
    let mut group = Group::run(marun(), folder, &["--log", "json"]);
    group.wait_for("all agents are ready");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    let log = group.log();
    let lines: Vec<Value> = log
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| lines.iter().filter(|line| line["agent"] == name).count();
    assert!(of("a") >= 2 && of("marun") >= 4, "{log}");
    assert_eq!(of("a") + of("marun"), lines.len());
}

#[test]
fn rust_log_chooses_what_the_launcher_says() {
    let mut launcher = marun();
    launcher.env("RUST_LOG", "warn");
    let mut group = Group::run(
        launcher,
        Folder::of(&agent("a", r#"{ say = "one\n" }"#)),
        &[],
    );
    group.wait_for("| one");
    assert!(!group.has(&["INFO"]), "RUST_LOG counts: {}", group.log());
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}
