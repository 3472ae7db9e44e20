//! Line 70 of the failure contract: a launcher that is suspended for longer than its deadlines
//! blames and kills no healthy member, in whatever state its group is. And a sentinel that is
//! suspended does not keep the launcher.

use std::{thread, time::Duration};

use rustix::process::{Signal, kill_process};

use crate::{group::Group, health::Pipe};

/// The pauses, after which a deadline of 1.5 s is noticed a little too late, and much too late.
const PAUSES: [Duration; 2] = [Duration::from_millis(1_900), Duration::from_millis(4_000)];

/// Suspends the launcher for so long; `meanwhile` something happens.
fn suspend(group: &Group, pause: Duration, meanwhile: impl FnOnce()) {
    group.signal(Signal::STOP);
    meanwhile();
    thread::sleep(pause);
    group.signal(Signal::CONT);
}

fn assert_clean_end(mut group: Group) {
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

fn waiting(when: &str, pipe: &Pipe, more: &str) -> String {
    let path = pipe.path();
    format!(
        "[agent.first]\nbackend = 'Actor'\nsettings = {{ {when} = 'wait', pipe = {path:?} }}\n{more}\n"
    )
}

#[test]
fn line_70_while_its_agents_start() {
    for pause in PAUSES {
        let pipe = Pipe::new();
        let mut group = Group::start(&waiting("start", &pipe, "ready_timeout = 1.5"));
        group.wait_for("| waiting");
        suspend(&group, pause, || drop(pipe.open()));
        group.wait_until_ready();
        assert_eq!(group.count("was not ready"), 0, "{}", group.log());
        assert_clean_end(group);
    }
}

#[test]
fn line_70_while_its_agents_are_ready() {
    for pause in PAUSES {
        let mut group = Group::start("[agent.first]\nbackend = 'Actor'\nwatchdog = 3\n");
        group.wait_until_ready();
        suspend(&group, pause, || ());
        let log = group.read_for(Duration::from_secs(1));
        assert!(log.is_empty(), "{log:?}");
        assert_clean_end(group);
    }
}

#[test]
fn line_70_while_its_agents_drain() {
    for pause in PAUSES {
        let pipe = Pipe::new();
        let mut group = Group::start(&waiting("stop", &pipe, "grace = 1"));
        group.wait_until_ready();
        group.signal(Signal::TERM);
        group.wait_for("last words of first");
        suspend(&group, pause, || drop(pipe.open()));
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
        group.assert_has(&["first stopped"]);
    }
}

#[test]
fn line_70_while_one_that_failed_drains() {
    let pipe = Pipe::new();
    let restart = "ready_timeout = 0.5\ngrace = 1\nrestart = { policy = 'on_failure' }";
    let agents = format!(
        "{}[agent.second]\nbackend = 'Actor'\nwatchdog = 2\n",
        waiting("start", &pipe, restart)
    );
    let mut group = Group::start(&agents);
    group.wait_for("first was not ready within 500ms");
    suspend(&group, PAUSES[0], || drop(pipe.open()));
    group.wait_for("restarting first");
    assert_eq!(group.count("killing it"), 0, "{}", group.log());
    assert_eq!(
        group.count("second sent no heartbeat"),
        0,
        "{}",
        group.log()
    );
}

#[test]
fn line_70_while_it_waits_for_a_restart() {
    for pause in PAUSES {
        let agents = "
            [agent.first]
            backend = 'Actor'
            restart = { policy = 'on_failure' }
            [agent.second]
            backend = 'Actor'
            watchdog = 2
        ";
        let mut group = Group::start(agents);
        let pids = group.wait_until_ready();
        kill_process(pids["first"], Signal::KILL).unwrap();
        group.wait_for("restarting first in");
        suspend(&group, pause, || ());
        group.wait_for_next("first is ready");
        assert_eq!(group.count("no heartbeat"), 0, "{}", group.log());
        assert_clean_end(group);
    }
}

#[test]
fn line_70_one_that_does_not_stop_is_killed_nevertheless() {
    let agents = "[agent.first]\nbackend = 'Actor'\nsettings = { stop = 'deaf' }\ngrace = 0.5\n";
    let mut group = Group::start(agents);
    group.wait_until_ready();
    group.signal(Signal::TERM);
    group.wait_for("last words of first");
    suspend(&group, PAUSES[1], || ());
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["first did not stop within its grace of 500ms; killing it"]);
}

#[test]
fn a_suspended_sentinel_does_not_keep_the_launcher() {
    let mut group = Group::start("[agent.first]\nbackend = 'Actor'\n");
    group.wait_until_ready();
    kill_process(group.sentinel(), Signal::STOP).unwrap();
    // It also asserts that nothing of the group is left.
    assert_clean_end(group);
}
