//! Line 60 of the failure contract: an agent that blocks its runtime, as those see it who watch the
//! group.

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::PathBuf,
    process::Command,
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::group::{Folder, Group, LONG, marun, pid_of};

/// The pipe that keeps an agent blocked until somebody opens it.
pub(crate) struct Pipe(TempDir);

impl Pipe {
    pub(crate) fn new() -> Self {
        let pipe = Self(tempfile::tempdir().unwrap());
        let made = Command::new("mkfifo").arg(pipe.path()).status();
        assert!(made.unwrap().success());
        pipe
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("pipe")
    }

    /// An agent that blocks at SIGUSR1; half of the watchdog's time is what a busy machine may be
    /// late.
    fn agent(&self) -> String {
        let path = self.path();
        format!(
            "[agent.first]\nbackend = 'Actor'\nsettings = {{ act = 'block', pipe = {path:?} }}\nwatchdog = 6\n"
        )
    }

    /// It must stay open until the last thread has passed.
    pub(crate) fn open(&self) -> File {
        File::options().write(true).open(self.path()).unwrap()
    }
}

#[test]
fn line_60_machines_and_the_service_manager_hear_of_one_that_is_blocked() {
    let pipe = Pipe::new();
    let folder = Folder::of(&pipe.agent());
    let address = folder.path("notify");
    let manager = UnixDatagram::bind(&address).unwrap();
    manager.set_read_timeout(Some(LONG)).unwrap();
    let mut launcher = marun();
    launcher.env("NOTIFY_SOCKET", &address);
    let mut group = Group::run(launcher, folder, &["--log", "json"]);
    let started = group.wait_for("first started as process ");
    let pid = pid_of(started.split('"').next().unwrap());
    group.wait_for("all agents are ready");
    wait_for_news(&manager, "READY=1\nSTATUS=all agents are ready");

    kill_process(pid, Signal::USR1).unwrap();
    let fields = line_with(&mut group, "first sent no heartbeat");
    let expected = ["marun", "WARN", "first", "blocked"];
    assert_eq!(fields, expected.map(Value::from));
    wait_for_news(&manager, "STATUS=blocked: first");

    let _open = pipe.open();
    let fields = line_with(&mut group, "first sends heartbeats again");
    let expected = ["marun", "INFO", "first", "ready"];
    assert_eq!(fields, expected.map(Value::from));
    wait_for_news(&manager, "READY=1\nSTATUS=all agents are ready");
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

/// Of the next line with this text: who says it, how loud, of whom, and what state that is.
fn line_with(group: &mut Group, text: &str) -> [Value; 4] {
    loop {
        let line = group.next_line();
        if line.contains(text) {
            let mut line: Value = serde_json::from_str(&line).unwrap();
            let mut fields = line["fields"].take();
            return [
                line["agent"].take(),
                line["level"].take(),
                fields["member"].take(),
                fields["state"].take(),
            ];
        }
    }
}

fn wait_for_news(manager: &UnixDatagram, expected: &str) {
    let mut buffer = [0; 4096];
    loop {
        let length = manager.recv(&mut buffer).unwrap();
        if &buffer[..length] == expected.as_bytes() {
            return;
        }
    }
}

#[test]
fn line_60_an_agent_names_the_handler_that_blocks_its_runtime() {
    let pipe = Pipe::new();
    let mut group = Group::start(&pipe.agent());
    let pids = group.wait_until_ready();
    kill_process(pids["first"], Signal::USR1).unwrap();
    let line = loop {
        let line = group.next_line();
        if line.contains("the runtime is blocked:") {
            break line;
        }
    };
    for text in ["WARN", "Actor.act (for ", "tokio::task::spawn_blocking"] {
        assert!(line.contains(text), "{line}");
    }
    let _open = pipe.open();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn line_60_the_table_shows_who_is_blocked() {
    let pipe = Pipe::new();
    let (mut group, _terminal) = Group::in_terminal(&pipe.agent(), &[]);
    let pids = group.wait_until_ready();
    kill_process(pids["first"], Signal::USR1).unwrap();
    group.wait_for_next("first  blocked  ");
    let _open = pipe.open();
    group.wait_for_next("first  ready  ");
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

/// A program whose agent ignores SIGTERM and reports without a pause that it lives.
const FLOOD: &str = r#"#!/bin/sh
case $1 in
__manifest)
    cat > /dev/null
    agent='{"name":"Flood","receivers":[],"consumers":[],"periodic":[],"cron":[],"hooks":[]}'
    echo "{\"protocol\":2,\"agents\":[$agent],\"refused_buses\":{},\"refused_brokers\":{}}"
    ;;
__agent)
    trap '' TERM
    echo '"ready"' >&0
    exec yes '"alive"' >&0
    ;;
esac
"#;

#[test]
fn line_55_agents_that_flood_the_launcher_with_reports_are_killed_after_their_grace() {
    let settings = "program = './flood'\n\
        [agent.first]\nbackend = 'Flood'\ngrace = 0.5\n\
        [agent.second]\nbackend = 'Flood'\ngrace = 0.5\n";
    let folder = Folder::with(settings);
    fs::write(folder.path("flood"), FLOOD).unwrap();
    fs::set_permissions(folder.path("flood"), PermissionsExt::from_mode(0o755)).unwrap();
    let mut group = Group::run(marun(), folder, &[]);
    group.wait_until_ready();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    for name in ["first", "second"] {
        group.assert_has(&[name, "did not stop within its grace of 500ms"]);
    }
}
