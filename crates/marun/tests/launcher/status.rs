//! `marun status`: a group as it says itself what it does and what is wrong.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::{
    driver::Driver,
    group::{Folder, Group, marun, output_of},
    health::Pipe,
};

/// A time that only a test that hangs exceeds, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(90);

/// The exit code and the output of `marun status` for these settings.
fn status(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let settings = folder.settings();
    let (code, out, errors) = output_of(marun(), &[&["status", &settings], arguments].concat());
    (code, format!("{out}{errors}"))
}

/// The exit code and the first line, when that has this text.
fn first_line_with(group: &Group, text: &str) -> (Option<i32>, String) {
    let began = Instant::now();
    loop {
        let (code, shown) = status(&group.folder, &[]);
        let line = shown.lines().next().unwrap_or_default();
        if line.contains(text) {
            return (code, shown);
        }
        assert!(began.elapsed() < PATIENCE, "no `{text}` in {shown}");
    }
}

fn json(folder: &Folder) -> Value {
    let (_, shown) = status(folder, &["--json"]);
    serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

fn end(mut group: Group) {
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn a_ready_group_is_shown_with_its_handlers_and_queues() {
    let driver = Driver::local();
    let dsn = &driver.dsn;
    let tables = format!(
        "[bus.main]\ndsn = '{dsn}'\n[broker.main]\ndsn = '{dsn}'\n\
         [agent.worker]\nbackend = 'Worker'\nbus = 'main'\nbroker = 'main'\n\
         [agent.sleeper]\ncommand = ['sleep', '1000']\n"
    );
    let mut group = Group::start(&tables);
    group.wait_until_ready();
    let (code, shown) = first_line_with(&group, "all 2 agents are ready");
    assert_eq!(code, Some(0), "{shown}");
    for text in [
        "AGENT",
        "worker",
        "sleeper",
        "HANDLER",
        "QUEUE",
        "LAST EVENTS (UTC)",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(
        shown.lines().skip(1).all(|line| line.chars().count() <= 80),
        "{shown}"
    );

    let found = json(&group.folder);
    let worker = found["members"].as_array().unwrap();
    let worker = worker
        .iter()
        .find(|member| member["name"] == "worker")
        .unwrap();
    assert_eq!(worker["state"], "ready");
    assert!(
        worker["memory_bytes"].as_u64() > Some(1_000_000),
        "{worker}"
    );
    assert_eq!(worker["status"]["state"], "ready", "{worker}");
    assert_eq!(worker["status"]["pid"], worker["pid"]);
    assert!(
        !shown.contains(&group.folder.settings()),
        "no settings travel"
    );
    end(group);
}

#[test]
fn a_blocked_agent_names_the_handler_that_blocks_it() {
    let pipe = Pipe::new();
    let path = pipe.path();
    let mut group = Group::start(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ act = 'block', pipe = {path:?} }}\nwatchdog = 0\n"
    ));
    let pids = group.wait_until_ready();
    kill_process(pids["first"], Signal::USR1).unwrap();
    let (code, shown) = first_line_with(&group, "first is blocked by Actor.act since ");
    assert_eq!(code, Some(1), "{shown}");
    let line = shown.lines().next().unwrap();
    assert!(
        line.ends_with("its signals and messages are late and kept"),
        "{line}"
    );
    let _open = pipe.open();
    let (code, _) = first_line_with(&group, "the agent is ready; nothing is lost, late or kept");
    assert_eq!(code, Some(0));
    end(group);
}

#[test]
fn a_killed_agent_is_shown_until_it_is_ready_again() {
    let pipe = Pipe::new();
    let path = pipe.path();
    let mut group = Group::start(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ start = 'wait', pipe = {path:?} }}\n\
         restart = {{ policy = 'on_failure' }}\nready_timeout = 600\n\
         [agent.second]\nbackend = 'Actor'\n"
    ));
    let (code, shown) = first_line_with(&group, "first is starting since ");
    assert_eq!(code, Some(1), "{shown}");
    drop(pipe.open());
    let pids = group.wait_until_ready();
    kill_process(pids["first"], Signal::KILL).unwrap();
    // It waits for the pipe again, so the state lasts.
    let text = "first was killed by SIGKILL and is starting again since ";
    let (code, shown) = first_line_with(&group, text);
    assert_eq!(code, Some(1), "{shown}");
    let effect = "signals to it are lost, its messages are late and kept";
    assert!(shown.contains(effect), "{shown}");
    drop(pipe.open());
    first_line_with(&group, "all 2 agents are ready");
    let found = json(&group.folder);
    let first = &found["members"][0];
    assert_eq!(first["restarts"], 1);
    assert_eq!(first["last_end"], "was killed by SIGKILL");
    end(group);
}

#[test]
fn without_a_launcher_nobody_answers() {
    let folder = Folder::of("[agent.first]\nbackend = 'Actor'\n");
    let (code, shown) = status(&folder, &[]);
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.starts_with("marun: no launcher of "), "{shown}");
    assert!(!shown.contains("os error"), "{shown}");
    let (code, _, errors) = output_of(marun(), &["status", "/nowhere/at/all.toml"]);
    assert_eq!(code, Some(2), "{errors}");
}

/// Its socket is left behind, until its successor takes the path.
#[test]
fn after_a_kill_of_the_launcher_nobody_answers_until_the_next_one_runs() {
    let folder = Folder::of("[agent.first]\nbackend = 'Actor'\n");
    let mut group = Group::run(marun(), folder.clone(), &[]);
    group.wait_until_ready();
    group.kill_supervisor(PATIENCE);
    for arguments in [&[][..], &["--json"], &["--watch"]] {
        let (code, shown) = status(&folder, arguments);
        assert_eq!(code, Some(3), "{shown}");
        let expected = format!(
            "marun: no launcher of {} is running: nobody answers on ",
            folder.settings()
        );
        assert!(shown.starts_with(&expected), "{shown}");
        assert!(!shown.contains("os error"), "{shown}");
    }
    let mut next = Group::run(marun(), folder, &[]);
    next.wait_until_ready();
    let (code, shown) = status(&next.folder, &[]);
    assert_eq!(code, Some(0), "{shown}");
    end(next);
}

#[test]
fn the_socket_is_private_and_goes_with_the_launcher() {
    let runtime = tempfile::tempdir().unwrap();
    let folder = Folder::of("[agent.first]\nbackend = 'Actor'\n");
    let with_runtime = || {
        let mut launcher: Command = marun();
        launcher.env("XDG_RUNTIME_DIR", runtime.path());
        launcher
    };
    let mut group = Group::run(with_runtime(), folder.clone(), &[]);
    group.wait_until_ready();
    let sockets = || -> Vec<_> {
        let entries = fs::read_dir(runtime.path().join("marun")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let [socket] = &sockets()[..] else {
        panic!("{:?}", sockets());
    };
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(socket), mode(socket.parent().unwrap())),
        (0o600, 0o700)
    );

    let mut second = Group::run(with_runtime(), folder, &[]);
    second.wait_for("`marun status` will not be answered");
    second.wait_until_ready();
    end(second);
    assert_eq!(sockets().len(), 1, "it belongs to the first one");
    end(group);
    assert!(sockets().is_empty());
}

#[cfg(feature = "redis")]
mod redis {
    use microagent_testing::RedisServer;

    use super::*;

    fn redis_goes_away_and_comes_back() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(RedisServer::start()).unwrap();
        let dsn = server.dsn();
        let tables = format!(
            "[bus.main]\ndsn = '{dsn}'\n[broker.main]\ndsn = '{dsn}'\n\
             [agent.asked]\nbackend = 'Responder'\nbus = 'main'\n\
             [agent.worker]\nbackend = 'Worker'\nbroker = 'main'\n"
        );
        let mut group = Group::start(&tables);
        group.wait_until_ready();
        first_line_with(&group, "all 2 agents are ready");
        server.kill();
        let text = "; 1 more is not ready";
        let (code, shown) = first_line_with(&group, text);
        assert_eq!(code, Some(1), "{shown}");
        let (line, tables) = shown.split_once('\n').unwrap();
        assert!(line.starts_with("asked has no bus since "), "{line}");
        assert!(line.contains("signals are lost until it is back"), "{line}");
        assert!(tables.contains("worker  no broker "), "{tables}");
        runtime.block_on(server.restart()).unwrap();
        let text = "all 2 agents are ready; signals were lost in a gap until ";
        let (code, shown) = first_line_with(&group, text);
        assert_eq!(code, Some(0), "{shown}");
        end(group);
    }

    microagent_testing::needs! { redis { fn redis_goes_away_and_comes_back, } }
}
