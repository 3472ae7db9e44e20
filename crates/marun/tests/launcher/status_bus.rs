//! `marun status --bus`: all agents on a bus, whatever launcher they have, and those that do not answer.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    driver::{Driver, on_every_driver},
    group::{Group, marun, output_of},
};

/// A time that only a test that hangs exceeds, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(90);

/// Returns the exit code, the output and the errors of `marun status --bus`.
fn status(dsn: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    output_of(marun(), &[&["status", "--bus", dsn], arguments].concat())
}

/// Asks until the first line contains this text, and returns the exit code and the output.
fn first_line_with(dsn: &str, text: &str) -> (Option<i32>, String) {
    let began = Instant::now();
    loop {
        let (code, shown, errors) = status(dsn, &[]);
        if shown.lines().next().is_some_and(|line| line.contains(text)) {
            return (code, shown);
        }
        assert!(began.elapsed() < PATIENCE, "no `{text}` in {shown}{errors}");
    }
}

/// Runs a group with one agent on this bus.
fn group_on(dsn: &str, agent: &str) -> Group {
    Group::start(&format!(
        "[bus.main]\ndsn = '{dsn}'\n[broker.main]\ndsn = '{dsn}'\n{agent}"
    ))
}

const WORKER: &str = "[agent.worker]\nbackend = 'Worker'\nbus = 'main'\nbroker = 'main'\n\
                      watchdog = 0\nrestart = { policy = 'on_failure' }\n";

fn end(mut group: Group) {
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

on_every_driver! {
    agents_are_shown_as_a_group_is,
    without_agents_nobody_answers,
}

fn agents_are_shown_as_a_group_is(driver: &Driver) {
    let dsn = &driver.dsn;
    let mut group = group_on(dsn, WORKER);
    let pids = group.wait_until_ready();
    let (code, shown) = first_line_with(dsn, "the agent is ready; nothing is lost, late or kept");
    assert_eq!(code, Some(0), "{shown}");
    for text in ["AGENT", "HOST", "worker", "HANDLER", "QUEUE"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let mut lines = shown.lines().skip(1);
    assert!(lines.all(|line| line.chars().count() <= 80), "{shown}");

    let (code, shown, errors) = status(dsn, &["--json"]);
    assert_eq!(code, Some(0), "{shown}{errors}");
    let found: Value = serde_json::from_str(&shown).unwrap();
    let (bus, worker) = (&found["bus"], &found["members"][0]);
    assert_eq!(
        (&bus["prefix"], &bus["complete"]),
        (&"PUBSUB".into(), &true.into())
    );
    assert!(dsn.starts_with(driver.scheme()) && bus["address"].as_str().is_some());
    assert_eq!(
        (&worker["name"], &worker["state"]),
        (&"worker".into(), &"connected".into())
    );
    let pid = pids["worker"].as_raw_nonzero().get();
    assert_eq!(
        (&worker["pid"], &worker["status"]["pid"]),
        (&pid.into(), &pid.into())
    );
    assert_eq!(worker["status"]["state"], "ready");
    assert!(!worker["host"].as_str().unwrap().is_empty(), "{worker}");
    assert!(found.get("launcher_pid").is_none(), "{found}");
    end(group);
}

fn without_agents_nobody_answers(driver: &Driver) {
    let mut group = group_on(&driver.dsn, WORKER);
    group.wait_until_ready();
    let (code, shown, errors) = status(&driver.dsn, &["--prefix", "SHOP"]);
    assert_eq!((code, shown.as_str()), (Some(3), ""), "{errors}");
    let address = format!("marun: no agent answers on {}:", driver.scheme());
    assert!(errors.contains(&address), "{errors}");
    assert!(
        errors.contains(" under the prefix `SHOP`; agents are connected under `PUBSUB`, which `--prefix` selects"),
        "{errors}"
    );
    end(group);
    let (code, _, errors) = status(&driver.dsn, &["--watch"]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(
        errors.contains("under the prefix `PUBSUB`; check that its agents run"),
        "{errors}"
    );
}

#[test]
fn wrong_use_has_its_exit_code() {
    for dsn in [
        "memory://",
        "no-dsn",
        "amqp://localhost",
        "redis://localhost:port",
    ] {
        let (code, shown, errors) = status(dsn, &[]);
        assert_eq!((code, shown.as_str()), (Some(2), ""), "{errors}");
    }
    let (code, _, errors) = status("local:x", &["--prefix", "a:b"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("invalid prefix"), "{errors}");
}

#[cfg(feature = "redis")]
mod on_redis {
    use std::{
        collections::BTreeSet,
        io::{BufRead, BufReader, Write},
        net::TcpStream,
        process::{Child, Command, Stdio},
        sync::mpsc::{self, Receiver, RecvTimeoutError},
        thread,
    };

    use microagent_testing::RedisServer;
    use rustix::process::kill_process;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::health::Pipe;

    microagent_testing::needs! { redis {
        fn replicas_are_shown_and_silent_ones_are_named,
        fn a_killed_agent_is_seen_again_after_its_restart,
        fn nothing_is_sent_while_nobody_asks,
        fn without_permission_to_list_agents_the_command_says_so,
        fn a_bus_that_is_away_is_a_failure,
        fn a_watch_goes_on_when_the_bus_is_back,
    } }

    struct Server {
        server: RedisServer,
        runtime: Runtime,
    }

    impl Server {
        fn start() -> Self {
            let runtime = Runtime::new().unwrap();
            let server = runtime.block_on(RedisServer::start()).unwrap();
            Self { server, runtime }
        }

        fn command(&self, words: &[&str]) -> String {
            self.runtime.block_on(self.server.command(words)).unwrap()
        }

        /// Returns all commands that the server executes from now on.
        fn monitor(&self) -> Receiver<String> {
            let mut stream = TcpStream::connect(self.server.address()).unwrap();
            stream.write_all(b"MONITOR\r\n").unwrap();
            let mut lines = BufReader::new(stream).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "+OK");
            let (sender, received) = mpsc::channel();
            thread::spawn(move || {
                lines
                    .map_while(Result::ok)
                    .all(|line| sender.send(line).is_ok());
            });
            received
        }
    }

    fn replicas_are_shown_and_silent_ones_are_named() {
        let server = Server::start();
        let dsn = server.server.dsn();
        let pipe = Pipe::new();
        let path = pipe.path();
        let actor = format!(
            "[agent.actor]\nbackend = 'Actor'\nbus = 'main'\nwatchdog = 0\n\
             settings = {{ act = 'block', pipe = {path:?} }}\n"
        );
        let mut groups = [
            group_on(&dsn, WORKER),
            group_on(&dsn, WORKER),
            group_on(&dsn, &actor),
        ];
        let [first, second, blocked] = [0, 1, 2].map(|group| {
            let pids: &mut Group = &mut groups[group];
            *pids.wait_until_ready().values().next().unwrap()
        });
        let (code, shown) = first_line_with(&dsn, "all 3 agents are ready");
        assert_eq!(code, Some(0), "{shown}");
        for pid in [first, second] {
            let label = format!("worker@{}", pid.as_raw_nonzero());
            assert!(shown.contains(&label), "{label}: {shown}");
        }

        kill_process(second, Signal::STOP).unwrap();
        let number = second.as_raw_nonzero();
        let text = format!("worker@{number} is connected (process {number} on ");
        let (code, shown) = first_line_with(&dsn, &text);
        assert_eq!(code, Some(1), "{shown}");
        let line = shown.lines().next().unwrap();
        assert!(line.contains(") and does not answer since "), "{line}");
        assert!(shown.contains("  silent  "), "{shown}");
        kill_process(second, Signal::CONT).unwrap();
        first_line_with(&dsn, "all 3 agents are ready");

        // A blocked runtime is as silent as a stopped process.
        kill_process(blocked, Signal::USR1).unwrap();
        let (code, shown) = first_line_with(&dsn, "actor is connected (process ");
        assert_eq!(code, Some(1), "{shown}");
        let _open = pipe.open();
        first_line_with(&dsn, "all 3 agents are ready");
        groups.into_iter().for_each(end);
    }

    fn a_killed_agent_is_seen_again_after_its_restart() {
        let server = Server::start();
        let dsn = server.server.dsn();
        let mut group = group_on(&dsn, WORKER);
        let first = group.wait_until_ready()["worker"];
        first_line_with(&dsn, "the agent is ready");
        kill_process(first, Signal::KILL).unwrap();
        let second = group.wait_for_next("worker started as process ");
        let second: i64 = second.trim().parse().unwrap();
        let began = Instant::now();
        loop {
            let (code, shown, _) = status(&dsn, &["--json"]);
            let found: Value = serde_json::from_str(&shown).unwrap_or_default();
            let members = found["members"].as_array().cloned().unwrap_or_default();
            let pids: BTreeSet<_> = members
                .iter()
                .map(|member| member["pid"].as_i64())
                .collect();
            if code == Some(0) && pids == BTreeSet::from([Some(second)]) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{shown}");
        }
        end(group);
    }

    /// A `marun status --watch` with its output.
    fn watch(dsn: &str) -> (Child, Receiver<String>, Receiver<String>) {
        let mut command: Command = marun();
        command.args(["status", "--bus", dsn, "--watch", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (output, shown) = mpsc::channel();
        let (errors, printed) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = |lines: mpsc::Sender<String>, stream: Box<dyn std::io::Read + Send>| {
            let mut stream = BufReader::new(stream).lines();
            thread::spawn(move || {
                stream.all(|line| line.is_ok_and(|line| lines.send(line).is_ok()))
            });
        };
        read(output, Box::new(stdout));
        read(errors, Box::new(stderr));
        (child, shown, printed)
    }

    /// Waits for a time in which nothing is sent about the status, and returns the commands before.
    fn until_quiet(commands: &Receiver<String>) -> Vec<String> {
        const QUIET: Duration = Duration::from_secs(4);
        let began = Instant::now();
        let (mut about_status, mut last) = (Vec::new(), Instant::now());
        loop {
            assert!(began.elapsed() < PATIENCE, "{about_status:#?}");
            match commands.recv_timeout(QUIET.saturating_sub(last.elapsed())) {
                Ok(line) if is_about_status(&line) => {
                    last = Instant::now();
                    about_status.push(line);
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return about_status,
                Err(RecvTimeoutError::Disconnected) => panic!("the server has ended"),
            }
        }
    }

    fn is_about_status(line: &str) -> bool {
        line.contains(":status:") || line.to_uppercase().contains("\"PUBSUB\"")
    }

    fn is_answer(line: &str) -> bool {
        line.contains(":status:answer") && line.contains("worker/")
    }

    fn nothing_is_sent_while_nobody_asks() {
        let server = Server::start();
        let dsn = server.server.dsn();
        let mut group = group_on(&dsn, WORKER);
        group.wait_until_ready();
        first_line_with(&dsn, "the agent is ready");

        let commands = server.monitor();
        // The answers to the question before may still be on their way.
        until_quiet(&commands);

        let (mut watching, shown, printed) = watch(&dsn);
        let mut answers = 0;
        while answers < 3 {
            let line = commands.recv_timeout(PATIENCE).unwrap();
            answers += usize::from(is_answer(&line));
        }
        shown.recv_timeout(PATIENCE).unwrap();
        // Anything else on the channels is reported once and disturbs nobody.
        for payload in ["{", "[]", r#"{"version": 9}"#] {
            server.command(&["PUBLISH", "PUBSUB:status:answer", payload]);
            server.command(&["PUBLISH", "PUBSUB:status:ask", payload]);
        }
        let warning = printed.recv_timeout(PATIENCE).unwrap();
        assert!(
            warning.contains("invalid answer on the bus; ignored: "),
            "{warning}"
        );
        group.wait_for("invalid question about the status; ignored");
        while shown.try_recv().is_ok() {}
        let line = shown.recv_timeout(PATIENCE).unwrap();
        let found: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(found["members"][0]["status"]["state"], "ready", "{line}");

        // Nobody ends the lease of a killed process, and nobody receives the answers.
        while commands.try_recv().is_ok() {}
        watching.kill().unwrap();
        watching.wait().unwrap();
        let rest = until_quiet(&commands);
        let answers = rest.iter().filter(|line| is_answer(line)).count();
        // At least six more seconds of its lease were left.
        assert!(answers <= 5, "{rest:#?}");
        assert!(printed.try_recv().is_err(), "one warning");
        end(group);
    }

    fn without_permission_to_list_agents_the_command_says_so() {
        let server = Server::start();
        let dsn = server.server.dsn();
        let mut group = group_on(&dsn, WORKER);
        group.wait_until_ready();
        first_line_with(&dsn, "the agent is ready");
        server.command(&[
            "ACL", "SETUSER", "asker", "on", ">s3cret", "~*", "&*", "+@all", "-pubsub",
        ]);
        let dsn = dsn.replace("redis://", "redis://asker:s3cret@");
        let (code, shown, errors) = status(&dsn, &["--json"]);
        assert_eq!(code, Some(0), "{shown}{errors}");
        assert!(
            errors.contains("agents that do not answer are not shown: "),
            "{errors}"
        );
        let found: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(found["bus"]["complete"], false);
        assert_eq!(found["members"][0]["name"], "worker");
        assert!(
            !format!("{shown}{errors}").contains("s3cret"),
            "{shown}{errors}"
        );
        end(group);
    }

    fn a_watch_goes_on_when_the_bus_is_back() {
        let server = Server::start();
        let dsn = server.server.dsn();
        let mut group = group_on(&dsn, WORKER);
        group.wait_until_ready();
        first_line_with(&dsn, "the agent is ready");
        let (mut watching, shown, _printed) = watch(&dsn);
        let until = |what: &dyn Fn(&Value) -> bool| {
            let began = Instant::now();
            loop {
                let line = shown.recv_timeout(PATIENCE).unwrap();
                if what(&serde_json::from_str(&line).unwrap()) {
                    return;
                }
                assert!(began.elapsed() < PATIENCE, "{line}");
            }
        };
        let is_ready = |found: &Value| found["members"][0]["status"]["state"] == "ready";
        until(&is_ready);
        server.server.kill();
        until(&|found| found["bus"]["error"].is_string());
        server.runtime.block_on(server.server.restart()).unwrap();
        until(&|found| found["bus"].get("error").is_none() && is_ready(found));
        watching.kill().unwrap();
        watching.wait().unwrap();
        end(group);
    }

    fn a_bus_that_is_away_is_a_failure() {
        let server = Server::start();
        let dsn = server.server.dsn();
        server.server.kill();
        let (code, shown, errors) = status(&dsn, &[]);
        assert_eq!((code, shown.as_str()), (Some(1), ""), "{errors}");
        assert!(
            errors.contains("cannot reach redis://127.0.0.1:"),
            "{errors}"
        );
    }
}
