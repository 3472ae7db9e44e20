//! `run --http`: metrics and health of a group, in each state that a member can be in.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use rustix::process::{Signal, kill_process};

use crate::{
    group::{Folder, Group, LONG, marun, output_of},
    health::Pipe,
};

/// A group with an HTTP port.
struct Watched {
    group: Group,
    address: String,
}

impl Watched {
    fn start(tables: &str) -> Self {
        let mut group = Group::run(marun(), Folder::of(tables), &["--http", "127.0.0.1:0"]);
        let line = group.wait_for("serving metrics and health address=");
        let address = line.split_whitespace().next().unwrap_or_default();
        let address = address.trim_matches('"').to_owned();
        Self { group, address }
    }

    fn get(&self, target: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let code = text.split(' ').nth(1).unwrap_or_default();
        (code.parse().unwrap_or_default(), text)
    }

    /// Asks until the answer has this code and contains the text. The program lives meanwhile.
    #[track_caller]
    fn await_answer(&self, target: &str, code: u16, part: &str) -> String {
        let began = Instant::now();
        loop {
            assert_eq!(self.get("/health/live").0, 200);
            let (found, text) = self.get(target);
            if found == code && text.contains(part) {
                return text;
            }
            assert!(
                began.elapsed() < LONG,
                "{target}: not {code} with `{part}`, but {text}"
            );
        }
    }

    #[track_caller]
    fn await_unready(&self, part: &str) -> String {
        self.await_answer("/health/ready", 503, part)
    }

    fn end(mut self) {
        self.group.signal(Signal::TERM);
        assert_eq!(self.group.wait_for_end(), Some(0), "{}", self.group.log());
    }
}

#[test]
fn a_group_is_ready_when_all_its_members_are() {
    let mut watched = Watched::start(
        "[agent.first]\nbackend = 'Actor'\n[agent.second]\nbackend = 'Actor'\n\
         [agent.sleeper]\ncommand = ['sleep', '1000']\n",
    );
    watched.group.wait_until_ready();
    let ready = watched.await_answer("/health/ready", 200, r#""ok":true"#);
    for name in ["first", "second", "sleeper"] {
        assert!(
            ready.contains(&format!(r#""agent":"{name}","ok":true"#)),
            "{ready}"
        );
    }
    let one = watched.await_answer("/health/started?agent=second", 200, "second");
    assert!(!one.contains("first"), "{one}");
    let unknown = watched.await_answer("/health/ready?agent=third", 404, "`sleeper`");
    assert!(unknown.contains("unknown agent `third`"), "{unknown}");
    let metrics = watched.await_answer("/metrics", 200, "microagent_agent_ready");
    for line in [
        r#"microagent_agent_ready{agent="first"} 1"#,
        r#"microagent_agent_ready{agent="sleeper"} 1"#,
        r#"microagent_agent_restarts_total{agent="second"} 0"#,
        r#"process_resident_memory_bytes{agent="sleeper"} "#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    watched.end();
}

#[test]
fn a_member_that_starts_is_neither_started_nor_ready() {
    let pipe = Pipe::new();
    let path = pipe.path();
    let mut watched = Watched::start(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ start = 'wait', pipe = {path:?} }}\n"
    ));
    watched.group.wait_for("waiting");
    watched.await_answer("/health/started", 503, r#""ok":false"#);
    watched.await_unready("first");
    let _open = pipe.open();
    watched.group.wait_until_ready();
    watched.await_answer("/health/started", 200, "first");
    watched.await_answer("/health/ready", 200, "first");
    watched.end();
}

#[test]
fn a_member_that_is_blocked_is_unready_with_the_handler_that_blocks_it() {
    let pipe = Pipe::new();
    let path = pipe.path();
    let mut watched = Watched::start(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ act = 'block', pipe = {path:?} }}\nwatchdog = 0\n"
    ));
    let pids = watched.group.wait_until_ready();
    kill_process(pids["first"], Signal::USR1).unwrap();
    let text = watched.await_unready(r#""check":"runtime","ok":false"#);
    assert!(text.contains(r#""state":"blocked""#), "{text}");
    watched.await_unready("blocked by Actor.act");
    watched.await_answer(
        "/metrics",
        200,
        r#"microagent_agent_state{agent="first",state="blocked"} 1"#,
    );
    let _open = pipe.open();
    watched.await_answer("/health/ready", 200, "first");
    watched.end();
}

#[test]
fn a_member_that_was_killed_is_unready_until_its_restart_is() {
    let mut watched = Watched::start(
        "[agent.first]\nbackend = 'Actor'\nrestart = { policy = 'on_failure' }\n\
         [agent.second]\nbackend = 'Actor'\n",
    );
    let pids = watched.group.wait_until_ready();
    watched.await_answer("/health/ready", 200, "first");
    kill_process(pids["first"], Signal::KILL).unwrap();
    // The pause before the restart lasts three quarters of a second or longer.
    watched.await_unready("the last one was killed by SIGKILL");
    watched.await_answer("/health/ready?agent=second", 200, "second");
    watched.await_answer("/health/ready", 200, "first");
    let restarts = r#"microagent_agent_restarts_total{agent="first"} 1"#;
    watched.await_answer("/metrics", 200, restarts);
    watched.end();
}

#[test]
fn a_group_that_stops_is_unready_from_the_first_sigterm_on() {
    let pipe = Pipe::new();
    let path = pipe.path();
    let mut watched = Watched::start(&format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ stop = 'wait', pipe = {path:?} }}\ngrace = 60\n"
    ));
    watched.group.wait_until_ready();
    watched.await_answer("/health/ready", 200, "first");
    watched.group.signal(Signal::TERM);
    watched.await_unready("`stopping`");
    let _open = pipe.open();
    assert_eq!(watched.group.wait_for_end(), Some(0));
}

#[test]
fn an_address_that_cannot_be_served_starts_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = Folder::of("[agent.first]\nbackend = 'Actor'\n");
    for address in [taken.as_str(), "here"] {
        let (code, _, errors) = output_of(marun(), &["run", &folder.settings(), "--http", address]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(
            errors.contains(&format!("--http: cannot serve HTTP on `{address}`")),
            "{errors}"
        );
    }
}

#[cfg(feature = "redis")]
mod redis {
    use microagent_testing::RedisServer;

    use super::*;

    fn redis_goes_away_and_comes_back() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(RedisServer::start()).unwrap();
        let dsn = server.dsn();
        let mut watched = Watched::start(&format!(
            "[bus.main]\ndsn = '{dsn}'\n[broker.main]\ndsn = '{dsn}'\n\
             [agent.worker]\nbackend = 'Worker'\nbus = 'main'\nbroker = 'main'\n"
        ));
        watched.group.wait_until_ready();
        watched.await_answer("/health/ready", 200, r#""check":"broker","ok":true"#);
        server.kill();
        watched.await_unready(r#""check":"broker","ok":false"#);
        watched.await_unready(r#""check":"bus","ok":false"#);
        watched.await_answer(
            "/metrics",
            200,
            r#"microagent_broker_connected{agent="worker"} 0"#,
        );
        runtime.block_on(server.restart()).unwrap();
        watched.await_answer("/health/ready", 200, "worker");
        watched.end();
    }

    microagent_testing::needs! { redis { fn redis_goes_away_and_comes_back, } }
}
