//! The documented group as its user runs it: real processes, real signals, `local:` in a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../shared/running.rs"]
mod running;

use std::{collections::HashSet, fs, path::Path, time::Duration};

use microagent::prelude::*;
use running::{Group, Launcher};
use rustix::process::Signal;

const START: Duration = Duration::from_secs(20);
/// The settings' grace is 30 s; nothing here takes that long.
const STOP: Duration = Duration::from_secs(20);

/// What the documentation says that the group logs.
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
    for sentence in SENTENCES {
        group.wait_for_line(sentence, START);
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

const MAILS: usize = 10_000;

/// EmailAgent's consumer has the default concurrency of 16, and so at most 32 messages out of the queue.
const IN_FLIGHT: usize = 32;

#[test]
fn ten_thousand_mails_survive_the_death_of_their_consumer() {
    let folder = tempfile::tempdir().unwrap();
    send_mails(folder.path());

    let mut killed = start(Launcher::Examples, folder.path());
    let mut first = HashSet::new();
    while first.len() < MAILS / 3 {
        first.extend(mail_in(&killed.next_line(START)).map(str::to_owned));
    }
    running::kill(killed.agents()["email_agent"], Signal::KILL);
    assert_ne!(killed.wait_for_end(STOP).code(), Some(0));
    let mut all: HashSet<String> = killed
        .lines()
        .filter_map(mail_in)
        .map(str::to_owned)
        .collect();
    assert!(all.len() < MAILS, "it was to be killed in the middle");

    let mut restarted = start(Launcher::Examples, folder.path());
    while all.len() < MAILS {
        all.extend(mail_in(&restarted.next_line(Duration::from_secs(60))).map(str::to_owned));
    }
    restarted.signal(Signal::INT);
    assert_eq!(
        restarted.wait_for_end(STOP).code(),
        Some(0),
        "{}",
        restarted.log()
    );

    let handlings = killed
        .lines()
        .chain(restarted.lines())
        .filter_map(mail_in)
        .count();
    let twice = handlings - MAILS;
    assert!(twice <= IN_FLIGHT, "{twice} mails were handled twice");
}

fn send_mails(folder: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let broker = Broker::connect(&format!("local:{}", folder.display()))
            .await
            .unwrap();
        let mut sends = tokio::task::JoinSet::new();
        for n in 0..MAILS {
            let broker = broker.clone();
            sends.spawn(async move {
                broker
                    .send(
                        examples::queues::MAILER,
                        &json!({"text": format!("mail {n}")}),
                    )
                    .await
            });
        }
        while let Some(sent) = sends.join_next().await {
            sent.unwrap().unwrap();
        }
        assert_eq!(
            broker.length(examples::queues::MAILER).await.unwrap(),
            MAILS as u64
        );
        broker.close().await.unwrap();
    });
}

/// The number of the mail that a line tells of.
fn mail_in(line: &str) -> Option<&str> {
    Some(
        line.split_once("Catch emailer {\"text\":\"mail ")?
            .1
            .split_once('"')?
            .0,
    )
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
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}
