//! The documented group as its user runs it: real processes, real signals, `local:` in a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mails;
mod others;
#[path = "../shared/running.rs"]
mod running;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use running::{Group, Launcher};
use rustix::process::Signal;

/// From the start on, for all that the log must tell of.
const START: Duration = Duration::from_secs(20);
/// The settings' grace is 30 s; nothing here takes that long.
const STOP: Duration = Duration::from_secs(20);

/// The log lines of the group, as the documentation shows them.
const SENTENCES: [&str; 4] = [
    "Run periodic task",
    "Catch signal",
    "Get value = {\"CommentAgent.example_rpc_handler\":",
    "Catch emailer {\"text\":\"Comment\"",
];

/// Starts the group on `local:` in this folder.
fn start(launcher: Launcher, folder: &Path) -> Group {
    let dsn = format!("local:{}", folder.display());
    Group::start(launcher.group(Path::new(running::SETTINGS), &dsn))
}

fn runs_and_ends_with_ctrl_c(launcher: Launcher) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = start(launcher, folder.path());
    let deadline = Instant::now() + START;
    for sentence in SENTENCES {
        group.wait_for_line(sentence, deadline.saturating_duration_since(Instant::now()));
    }
    let agents = group.agents();
    let mut names: Vec<_> = agents.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["comment_agent", "email_agent", "user_agent"],
        "one process per agent"
    );

    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(STOP).code(), Some(0), "{}", group.log());
    running::assert_gone(agents.values().copied(), Duration::ZERO);
}

#[test]
fn the_documented_group_runs_in_three_processes_and_ends_with_ctrl_c() {
    runs_and_ends_with_ctrl_c(Launcher::Examples);
}

#[test]
fn the_marun_binary_runs_the_same_group() {
    runs_and_ends_with_ctrl_c(Launcher::Marun);
}

#[test]
fn the_death_of_one_agent_stops_the_group_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut group = start(Launcher::Examples, folder.path());
    group.wait_for("email_agent", "Catch emailer", START);
    let agents = group.agents();

    running::kill(agents["email_agent"], Signal::KILL);
    let status = group.wait_for_end(STOP);
    assert_eq!(status.code(), Some(1), "{}", group.log());
    let named = |line: &str| line.contains("email_agent") && line.contains("SIGKILL");
    assert!(group.lines().any(named), "{}", group.log());
    for drained in ["user_agent", "comment_agent"] {
        let stopped = |line: &str| line.contains(drained) && line.contains("agent has stopped");
        assert!(
            group.lines().any(stopped),
            "{drained} did not drain: {}",
            group.log()
        );
    }
    running::assert_gone(agents.values().copied(), Duration::ZERO);
}

#[test]
fn no_agent_outlives_its_supervisor() {
    let folder = tempfile::tempdir().unwrap();
    let mut group = start(Launcher::Examples, folder.path());
    group.wait_for_line("Run periodic task", START);
    let agents = group.agents();
    assert_eq!(agents.len(), 3);

    group.signal(Signal::KILL);
    running::assert_gone(agents.values().copied(), Duration::from_secs(1));
}

#[test]
fn bad_settings_start_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    fs::write(&settings, "[agent.user_agent]\nbackend = \"UserAgnet\"\n").unwrap();
    for command in ["run", "check"] {
        let (code, message) = output_of(&[command, settings.to_str().unwrap()]);
        assert_eq!(code, Some(2), "{message}");
        for part in [
            "settings.toml",
            "backend",
            "UserAgnet",
            "UserAgent",
            "CommentAgent",
        ] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
    }
    assert_eq!(output_of(&["check", running::SETTINGS]).0, Some(0));
}

/// The exit code of one command of the examples' binary, and what it said.
fn output_of(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Launcher::Examples
        .command()
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}
