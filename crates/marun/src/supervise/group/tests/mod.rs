//! The state machine of the group, without processes.

mod restarts;

use super::*;
use crate::settings::{Restart, RestartPolicy};

const GRACE: Duration = Duration::from_secs(5);
const READY: Duration = Duration::from_secs(10);
const WATCHDOG: Duration = Duration::from_secs(30);

fn rules(name: &str, policy: RestartPolicy) -> Rules {
    Rules {
        name: name.to_owned(),
        grace: GRACE,
        ready_timeout: READY,
        watchdog: Some(WATCHDOG),
        restart: Restart {
            policy,
            max: 2,
            within: Duration::from_secs(600),
        },
    }
}

/// Returns a group of `a`, `b` and `c`, of which `a` has this restart policy.
fn group(policy: RestartPolicy) -> Group {
    let policies = [policy, RestartPolicy::Never, RestartPolicy::Never];
    let members = ["a", "b", "c"].into_iter().zip(policies);
    Group::new(members.map(|(name, policy)| rules(name, policy)), || 0.0)
}

/// Returns a group of three started members, and the time of their start.
fn started() -> (Group, Instant) {
    started_with(RestartPolicy::Never)
}

fn started_with(policy: RestartPolicy) -> (Group, Instant) {
    let now = Instant::now();
    let mut group = group(policy);
    (0..3).for_each(|index| group.started(index, now));
    (group, now)
}

fn ready() -> (Group, Instant) {
    ready_with(RestartPolicy::Never)
}

fn ready_with(policy: RestartPolicy) -> (Group, Instant) {
    let (mut group, now) = started_with(policy);
    (0..3).for_each(|index| drop(group.ready(index, now)));
    (group, now)
}

fn commands(actions: &[Action]) -> Vec<&Action> {
    let is_log = |action: &&Action| !matches!(action, Action::Log(..) | Action::LogHealth(..));
    actions.iter().filter(is_log).collect()
}

fn log_lines(actions: &[Action]) -> Vec<&str> {
    let mut texts = Vec::new();
    for action in actions {
        if let Action::Log(_, text) | Action::LogHealth(_, _, text) = action {
            texts.push(text.as_str());
        }
    }
    texts
}

#[test]
fn the_group_is_ready_when_its_last_member_is() {
    let (mut group, now) = started();
    assert_eq!(log_lines(&group.ready(0, now)), ["a is ready"]);
    assert_eq!(log_lines(&group.ready(1, now)), ["b is ready"]);
    assert_eq!(log_lines(&group.ready(1, now)), [""; 0]);
    assert_eq!(
        log_lines(&group.ready(2, now)),
        ["c is ready", "all agents are ready: 3"]
    );
    assert_eq!(group.phase(), Phase::Ready);
    assert_eq!(group.deadline(), Some(now + WATCHDOG / 2));
}

#[test]
fn a_signal_drains_all_and_is_no_failure() {
    let (mut group, now) = ready();
    let actions = group.stop(StopSignal::Interrupt, now);
    assert_eq!(
        log_lines(&actions),
        ["SIGINT received; stopping; a second Ctrl-C kills all agents"]
    );
    let asked: Vec<_> = (0..3).map(Action::Terminate).collect();
    assert_eq!(commands(&actions), asked.iter().collect::<Vec<_>>());
    for index in 0..3 {
        assert!(!group.is_over());
        assert!(commands(&group.ended(index, ExitStatus::Exited(0), now)).is_empty());
    }
    assert!(group.is_over() && !group.has_failed());
}

#[test]
fn a_member_that_ends_by_itself_stops_the_others_without_a_failure() {
    let (mut group, now) = ready();
    let actions = group.ended(1, ExitStatus::Exited(0), now);
    assert_eq!(log_lines(&actions), ["b ended by itself"]);
    assert_eq!(
        commands(&actions),
        [&Action::Terminate(0), &Action::Terminate(2)]
    );
    group.ended(0, ExitStatus::Exited(0), now);
    group.ended(2, ExitStatus::Killed(15), now);
    assert!(group.is_over() && !group.has_failed());
}

#[test]
fn a_killed_member_stops_the_others_and_is_a_failure() {
    let (mut group, now) = ready();
    let actions = group.ended(0, ExitStatus::Killed(9), now);
    assert_eq!(log_lines(&actions), ["a was killed by SIGKILL"]);
    assert_eq!(commands(&actions).len(), 2);
    assert!(group.has_failed());
}

#[test]
fn a_failure_while_draining_is_a_failure_of_the_group() {
    let (mut group, now) = ready();
    group.stop(StopSignal::Terminate, now);
    let actions = group.ended(0, ExitStatus::Exited(1), now);
    assert_eq!(log_lines(&actions), ["a exited with code 1"]);
    assert!(group.has_failed());
}

#[test]
fn a_member_that_ignores_sigterm_is_killed_after_its_grace() {
    let (mut group, now) = ready();
    group.stop(StopSignal::Interrupt, now);
    group.ended(0, ExitStatus::Exited(0), now);
    group.ended(2, ExitStatus::Exited(0), now);
    let deadline = group.deadline().unwrap();
    assert_eq!(deadline, now + GRACE + KILL_MARGIN);
    assert!(group.tick(deadline - Duration::from_millis(1)).is_empty());
    let actions = group.tick(deadline);
    assert_eq!(
        log_lines(&actions),
        ["b did not stop within its grace of 5s; killing it"]
    );
    assert_eq!(commands(&actions), [&Action::Kill(1)]);
    assert_eq!(group.deadline(), None);
    group.ended(1, ExitStatus::Killed(9), deadline);
    assert!(group.is_over() && group.has_failed());
}

#[test]
fn a_second_ctrl_c_kills_and_a_second_sigterm_does_not() {
    let (mut group, now) = ready();
    group.stop(StopSignal::Interrupt, now);
    group.ended(0, ExitStatus::Exited(0), now);
    let actions = group.stop(StopSignal::Terminate, now);
    assert!(commands(&actions).is_empty(), "{actions:?}");
    let actions = group.stop(StopSignal::Interrupt, now + FORCE_AFTER);
    assert_eq!(commands(&actions), [&Action::Kill(1), &Action::Kill(2)]);
    assert!(
        group
            .stop(StopSignal::Interrupt, now + FORCE_AFTER)
            .is_empty()
    );
    assert!(group.has_failed());
}

#[test]
fn the_first_signal_during_a_drain_does_not_kill() {
    let (mut group, now) = ready();
    group.ended(0, ExitStatus::Exited(0), now);
    let actions = group.stop(StopSignal::Interrupt, now);
    assert!(commands(&actions).is_empty(), "already asked: {actions:?}");
    assert_eq!(
        commands(&group.stop(StopSignal::Interrupt, now + FORCE_AFTER)).len(),
        2
    );
}

#[test]
fn a_member_that_is_never_ready_is_named_and_stops_the_group() {
    let (mut group, now) = started();
    group.ready(0, now);
    group.ready(2, now);
    assert_eq!(group.deadline(), Some(now + READY));
    let actions = group.tick(now + READY);
    assert_eq!(log_lines(&actions), ["b was not ready within 10s"]);
    assert_eq!(commands(&actions).len(), 3);
    assert!(group.has_failed());
    assert!(group.ready(1, now).is_empty(), "too late");
}

#[test]
fn an_end_before_readiness_is_a_failure_whatever_the_code() {
    let (mut group, now) = started();
    let actions = group.ended(0, ExitStatus::Exited(0), now);
    assert_eq!(
        log_lines(&actions),
        ["a ended by itself before it was ready"]
    );
    assert!(group.has_failed());
}

#[test]
fn a_member_that_cannot_be_started_stops_those_before_it_and_prevents_those_after_it() {
    let now = Instant::now();
    let mut group = group(RestartPolicy::Never);
    group.started(0, now);
    let actions = group.not_started(1, "no such file", now);
    assert_eq!(log_lines(&actions), ["cannot start b: no such file"]);
    assert_eq!(commands(&actions), [&Action::Terminate(0)]);
    group.ended(0, ExitStatus::Exited(0), now);
    assert!(group.is_over() && group.has_failed());
}

#[test]
fn two_sigints_at_once_count_as_one() {
    for first in [StopSignal::Interrupt, StopSignal::Terminate] {
        let (mut group, now) = ready();
        group.stop(first, now);
        let soon = now + FORCE_AFTER - Duration::from_millis(1);
        for _ in 0..3 {
            let actions = group.stop(StopSignal::Interrupt, soon);
            assert_eq!(log_lines(&actions), ["SIGINT received; already stopping"]);
            assert!(commands(&actions).is_empty());
        }
        let actions = group.stop(StopSignal::Interrupt, now + FORCE_AFTER);
        assert_eq!(commands(&actions).len(), 3);
        assert!(group.has_failed());
    }
}

#[test]
fn no_limit_is_too_long() {
    let longest = Rules {
        grace: Duration::MAX,
        ready_timeout: Duration::MAX,
        watchdog: Some(Duration::MAX),
        ..rules("a", RestartPolicy::Always)
    };
    let mut group = Group::new([longest], || 0.0);
    let now = Instant::now();
    group.started(0, now);
    group.ready(0, now);
    group.stop(StopSignal::Terminate, now);
    assert!(group.deadline() > Some(now + GRACE));
    assert_eq!(group.longest_stop(), Duration::MAX);
}

#[test]
fn one_whose_output_waits_is_not_blamed_for_its_silence() {
    let (mut group, now) = ready();
    let half = WATCHDOG / 2;
    let blocked = now + half;
    assert_eq!(log_lines(&group.tick(blocked)).len(), 3, "all are blocked");
    for round in 1..5 {
        let at = now + half * (round + 1);
        (0..3).for_each(|index| group.output_blocked(index, at));
        assert!(group.tick(at).is_empty(), "round {round}");
    }
    let last = now + half * 5;
    assert_eq!(group.deadline(), Some(last + half));
    assert!(commands(&group.tick(last + half)).is_empty());
    assert_eq!(commands(&group.tick(last + 2 * half)).len(), 3);
}

#[test]
fn one_whose_output_waits_is_killed_after_its_grace_nevertheless() {
    let (mut group, now) = ready();
    group.stop(StopSignal::Terminate, now);
    let until = now + GRACE + KILL_MARGIN;
    (0..3).for_each(|index| group.output_blocked(index, now + GRACE));
    assert_eq!(commands(&group.tick(until)).len(), 3);
}
