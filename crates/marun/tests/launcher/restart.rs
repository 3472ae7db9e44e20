//! Restarts of members: after which ends, how often, and their effect on the others. A test whose
//! name contains a line's number proves that line of the failure contract.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::group::{Group, pid_of};

fn agent(name: &str, settings: &str, lines: &str) -> String {
    format!("[agent.{name}]\nbackend = 'Actor'\nsettings = {settings}\n{lines}\n")
}

/// `first` is restarted, `second` is not.
fn first_restarts(settings: &str, restart: &str) -> Group {
    let lines = format!("restart = {restart}");
    let agents = [agent("first", settings, &lines), agent("second", "{}", "")];
    Group::start(&agents.concat())
}

#[test]
fn line_57_one_that_is_killed_is_started_again_beside_the_others() {
    let mut group = first_restarts("{}", "{ policy = 'on_failure' }");
    let before = group.wait_until_ready();
    let fell = Instant::now();
    kill_process(before["first"], Signal::KILL).unwrap();
    group.wait_for("first was killed by SIGKILL");
    group.wait_for("restart 1 of at most 10 within 10m");
    let again = pid_of(&group.wait_for_next("first started as process "));
    let paused = fell.elapsed();
    assert!(paused > Duration::from_millis(700), "{paused:?}");
    assert_ne!(again, before["first"]);
    group.wait_for_next("all agents are ready: 2");
    assert!(group.living().contains(&before["second"]));

    group.signal(Signal::INT);
    assert_eq!(
        group.wait_for_end(),
        Some(0),
        "the restart has repaired it: {}",
        group.log()
    );
    assert_eq!(group.count("second started as process"), 1);
}

#[test]
fn processes_left_by_a_failed_agent_and_no_others_end_before_its_successor_starts() {
    let settings = "{ daemon = 'kept' }";
    let lines = "restart = { policy = 'on_failure' }";
    let agents = [
        agent("first", settings, lines),
        agent("second", settings, ""),
    ];
    let mut group = Group::start(&agents.concat());
    let pids = group.wait_until_ready();
    let daemon =
        |group: &mut Group, name: &str| pid_of(&group.wait_for(&format!("{name} | daemon ")));
    let (first, second) = (daemon(&mut group, "first "), daemon(&mut group, "second"));
    kill_process(pids["first"], Signal::KILL).unwrap();
    group.wait_for_next("first started as process ");
    let living = group.living();
    assert!(
        !living.contains(&first) && living.contains(&second),
        "{}",
        group.log()
    );
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn line_57_one_that_falls_too_often_is_given_up_with_the_group() {
    let mut group = first_restarts("{ start = 'fail' }", "{ policy = 'on_failure', max = 1 }");
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    assert_eq!(
        group.count("first failed to start: creating Actor: no database"),
        2
    );
    group.assert_has(&[
        "marun",
        "ERROR",
        "first failed again after 1 restart(s) within 10m",
    ]);
    group.assert_has(&["last words of second"]);
}

#[test]
fn one_that_ends_cleanly_is_started_again_only_where_it_always_is() {
    let mut group = first_restarts("{ act = 'end' }", "{ policy = 'on_failure' }");
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::USR1).unwrap();
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());

    let mut group = first_restarts("{ act = 'end' }", "{ policy = 'always' }");
    let mut first = group.wait_until_ready()["first"];
    // More often than failures may be.
    for _ in 0..3 {
        kill_process(first, Signal::TERM).unwrap();
        first = pid_of(&group.wait_for_next("first started as process "));
        group.wait_for_next("all agents are ready: 2");
    }
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn a_program_of_another_kind_is_started_again_too() {
    let mut group = Group::start(
        "[agent.shell]
        command = ['sh', '-c', 'echo one; exit 3']
        restart = { policy = 'on_failure', max = 1 }
        ",
    );
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    assert_eq!(group.count("| one"), 2);
    assert_eq!(group.count("shell exited with code 3"), 2);
}

#[test]
fn a_group_that_is_to_stop_waits_for_nobody_that_rests() {
    let mut group = first_restarts("{}", "{ policy = 'on_failure' }");
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::KILL).unwrap();
    group.wait_for("restarting first in ");
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    assert_eq!(group.count("first started as process"), 1);
}

#[test]
fn nothing_outlives_a_killed_supervisor_after_a_restart() {
    let mut group = first_restarts(
        "{ child = true, stop = 'deaf' }",
        "{ policy = 'on_failure' }",
    );
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::KILL).unwrap();
    group.wait_for_next("first started as process ");
    group.wait_for_next("child ");
    group.kill_supervisor(Duration::from_secs(1));
}

const BLOCKED: &str = "first sent no heartbeat for 1s: its runtime is blocked; killing it";

#[test]
fn line_60_one_whose_runtime_is_blocked_is_killed_and_ends_the_group() {
    let agents = [
        agent("first", "{ act = 'block' }", "watchdog = 1"),
        agent("second", "{}", ""),
    ];
    let mut group = Group::start(&agents.concat());
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::USR1).unwrap();
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["marun", "ERROR", BLOCKED]);
    group.assert_has(&["last words of second"]);
}

#[test]
fn line_60_one_whose_runtime_is_blocked_is_started_again_by_its_policy() {
    let lines = "watchdog = 1\nrestart = { policy = 'on_failure' }";
    let mut group = Group::start(&agent("first", "{ act = 'block' }", lines));
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::USR1).unwrap();
    group.wait_for(BLOCKED);
    group.wait_for_next("all agents are ready: 1");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn line_61_one_that_is_never_ready_is_started_again_by_its_policy_and_then_given_up() {
    let lines = "ready_timeout = '500ms'\nrestart = { policy = 'on_failure', max = 1 }";
    let mut group = Group::start(&agent("first", "{ start = 'hang' }", lines));
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    assert_eq!(group.count("first was not ready within 500ms"), 2);
    group.assert_has(&["giving up"]);
}
