//! The lines of the failure contract about stopping under load, each with a queue of `local:` that
//! outlives the group: 62 to
//! 65. The printed lines show the messages that an agent has handled, and the queue shows the remaining ones.

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    group::{Group, marun, pid_of},
    load::{done, finish, folder, length, load, replicas, send, waiting, worker},
};

#[test]
fn line_62_a_stop_under_load_loses_nothing_and_does_nothing_twice() {
    const JOBS: usize = 4_000;
    let folder = folder(&[worker("worker", "{ pause = 0.005, farewell = true }", "")]);
    send(&folder, 0..JOBS);
    let mut first = Group::run(marun(), folder.clone(), &[]);
    first.wait_for("job {\"n\":1000}");
    first.signal(Signal::TERM);
    assert_eq!(first.wait_for_end(), Some(0), "{}", first.log());
    let did = done(&[&first]);
    assert!(did.len() < JOBS, "it stopped in the middle");
    assert_eq!(
        first.count("| began "),
        did.len(),
        "what was begun was finished"
    );
    assert_eq!(length(&folder, "jobs"), JOBS - did.len());
    assert_eq!(
        length(&folder, "farewells"),
        1,
        "the broker was there in `pre_stop`"
    );

    let mut second = Group::run(marun(), folder, &[]);
    for _ in did.len()..JOBS {
        second.wait_for_next("| job ");
    }
    second.signal(Signal::TERM);
    assert_eq!(second.wait_for_end(), Some(0), "{}", second.log());
    assert_eq!(done(&[&first, &second]), Vec::from_iter(0..JOBS));
}

#[test]
fn line_58_relayed_signals_make_no_dead_letter() {
    let folder = folder(&[worker("worker", "{ pause = 600 }", "grace = 0.3")]);
    send(&folder, 0..1);
    for _ in 0..4 {
        let mut group = Group::run(marun(), folder.clone(), &[]);
        group.wait_for("began ");
        group.signal(Signal::INT);
        group.wait_for("SIGINT received; stopping");
        group.signal(Signal::INT);
        group.wait_for_end();
        assert_eq!(group.count("killing it"), 0, "{}", group.log());
    }
    assert_eq!(
        (length(&folder, "jobs"), length(&folder, "jobs.dead")),
        (1, 0)
    );
    assert!(waiting(&folder, "jobs")[0].get("crashes").is_none());
}

/// The end of an agent that could not return its messages to its broker.
const NOT_CLOSED: i32 = 1;

/// Asked then to stop, the agent has kept to its grace of at most a second: it ended with this
/// code, and was not killed.
fn assert_ended_by_itself(group: &mut Group, asked: Instant, expected: i32) {
    let code = group.wait_for_end();
    let took = asked.elapsed();
    assert_eq!(code, Some(expected), "{}", group.log());
    assert!(
        !group.has(&["did not stop within its grace"]),
        "{}",
        group.log()
    );
    // The grace, closing the connections, and a busy machine.
    assert!(took < Duration::from_secs(2), "{took:?}: {}", group.log());
}

#[test]
fn line_63_what_is_not_finished_within_the_grace_is_returned() {
    let folder = folder(&[worker("worker", "{ pause = 600.0 }", "grace = 0.5")]);
    send(&folder, 0..3);
    let mut group = Group::run(marun(), folder.clone(), &[]);
    for _ in 0..3 {
        group.wait_for_next("| began ");
    }
    let asked = Instant::now();
    group.signal(Signal::TERM);
    assert_ended_by_itself(&mut group, asked, 0);
    group.assert_has(&["worker", "grace is over"]);
    assert_eq!(done(&[&group]), [0; 0]);
    let left = waiting(&folder, "jobs");
    let numbers: Vec<_> = left.iter().map(|row| &row["payload"]["n"]).collect();
    assert_eq!(numbers, [0, 1, 2], "in their places");
    for row in &left {
        assert_eq!(row["attempt"], 1, "none of them has failed: {row}");
        assert!(row.get("crashes").is_none(), "nobody has died of it: {row}");
    }
}

#[test]
fn line_64_a_stop_while_the_broker_stands_still_is_over_by_the_deadline() {
    let folder = folder(&[worker("host", "{}", "")]);
    let mut host = Group::run(marun(), folder.clone(), &[]);
    host.wait_until_ready();
    let other = format!(
        "[broker.main]\ndsn = 'local:{}'\n{}",
        folder.path("data").display(),
        worker("guest", "{ farewell = true }", "grace = 1")
    );
    let mut guest = Group::start(&other);
    guest.wait_until_ready();
    host.signal(Signal::STOP);
    let asked = Instant::now();
    guest.signal(Signal::TERM);
    assert_ended_by_itself(&mut guest, asked, NOT_CLOSED);
    host.signal(Signal::CONT);
    host.signal(Signal::TERM);
    assert_eq!(host.wait_for_end(), Some(0), "{}", host.log());
}

/// A worker whose Redis is at this address.
fn worker_of_redis(address: SocketAddr, lines: &str) -> String {
    let worker = worker("worker", "{ farewell = true }", lines);
    format!("[broker.main]\ndsn = 'redis://{address}/0'\n{worker}")
}

#[test]
fn line_64_a_stop_while_nobody_answers_is_over_by_the_deadline() {
    // It takes connections and says nothing.
    let silence = TcpListener::bind("127.0.0.1:0").unwrap();
    let agents = worker_of_redis(silence.local_addr().unwrap(), "grace = 1");
    let mut group = Group::start(&agents);
    let _connected = silence.accept().unwrap();
    let asked = Instant::now();
    group.signal(Signal::TERM);
    // It was not started yet, so there is nothing that it could not do.
    assert_ended_by_itself(&mut group, asked, 0);
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn line_64_a_stop_while_reconnecting_is_over_by_the_deadline() {
    let mut group = Group::start(&worker_of_redis(nobody(), "grace = 1"));
    group.wait_for("cannot connect");
    let asked = Instant::now();
    group.signal(Signal::TERM);
    assert_ended_by_itself(&mut group, asked, NOT_CLOSED);
}

#[test]
fn line_61_one_that_does_not_reach_its_broker_is_not_ready() {
    let mut group = Group::start(&worker_of_redis(nobody(), "ready_timeout = 1\ngrace = 1"));
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["marun", "ERROR", "worker was not ready within 1s"]);
    assert!(!group.has(&["worker is ready"]), "{}", group.log());
}

/// Ends one replica and waits until its successor is ready.
fn replace(group: &mut Group, name: &str, pid: Pid, signal: Signal) -> Pid {
    kill_process(pid, signal).unwrap();
    let successor = group.wait_for_next(&format!("{name} started as process "));
    group.wait_for_next(&format!("{name} is ready"));
    pid_of(&successor)
}

#[test]
fn line_65_a_rolling_restart_under_load_loses_nothing_and_does_nothing_twice() {
    let folder = replicas("restart = { policy = 'always' }");
    let mut group = Group::run(marun(), folder.clone(), &[]);
    let mut pids = group.wait_until_ready();
    let (load, stop) = load(&folder);
    for _ in 0..10 {
        for (name, pid) in &mut pids {
            *pid = replace(&mut group, name, *pid, Signal::TERM);
        }
    }
    let jobs = finish(&mut group, &folder, load, stop);
    assert_eq!(done(&[&group]), Vec::from_iter(0..jobs));
}
