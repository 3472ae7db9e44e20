//! Restarts, and members that are killed because they send no heartbeat.

use super::*;
use crate::supervise::pause::MOST_GRANTS;

fn restart_message(pause: &str, count: u32) -> String {
    format!("restarting a in {pause} (restart {count} of at most 2 within 10m)")
}

#[test]
fn a_failed_member_is_restarted_and_the_others_continue() {
    let (mut group, now) = ready_with(RestartPolicy::OnFailure);
    let actions = group.ended(0, ExitStatus::Killed(9), now);
    assert_eq!(
        log_lines(&actions),
        ["a was killed by SIGKILL", &restart_message("1s", 1)]
    );
    assert!(commands(&actions).is_empty());
    assert_eq!(group.phase(), Phase::Starting);

    let due = now + Duration::from_secs(1);
    assert_eq!(group.deadline(), Some(due));
    assert!(group.tick(due - Duration::from_millis(1)).is_empty());
    assert_eq!(group.tick(due), [Action::Start(0)]);
    group.started(0, due);
    let actions = group.ready(0, due);
    assert_eq!(
        log_lines(&actions),
        ["a is ready", "all agents are ready: 3"]
    );
    assert!(!group.has_failed(), "the restart has repaired it");
}

#[test]
fn a_member_that_fails_too_often_stops_the_group() {
    let (mut group, mut now) = ready_with(RestartPolicy::OnFailure);
    for (pause, count) in [("1s", 1), ("2s", 2)] {
        let actions = group.ended(0, ExitStatus::Exited(1), now);
        assert_eq!(log_lines(&actions)[1], restart_message(pause, count));
        now = group.deadline().unwrap();
        assert_eq!(group.tick(now), [Action::Start(0)]);
        group.started(0, now);
    }
    let actions = group.ended(0, ExitStatus::Exited(1), now);
    assert_eq!(
        log_lines(&actions),
        [
            "a exited with code 1 before it was ready",
            "a failed again after 2 restart(s) within 10m; giving up and stopping the group"
        ]
    );
    assert_eq!(
        commands(&actions),
        [&Action::Terminate(1), &Action::Terminate(2)]
    );
    group.ended(1, ExitStatus::Exited(0), now);
    group.ended(2, ExitStatus::Exited(0), now);
    assert!(group.is_over() && group.has_failed());
}

#[test]
fn a_clean_end_is_followed_by_a_restart_only_with_the_policy_always() {
    let (mut group, now) = ready_with(RestartPolicy::OnFailure);
    let actions = group.ended(0, ExitStatus::Exited(0), now);
    assert_eq!(
        commands(&actions),
        [&Action::Terminate(1), &Action::Terminate(2)]
    );

    let (mut group, now) = ready_with(RestartPolicy::Always);
    let actions = group.ended(0, ExitStatus::Exited(0), now);
    assert_eq!(
        log_lines(&actions),
        ["a ended by itself", "restarting a in 1s"]
    );
    assert_eq!(group.status().next().unwrap().restarts, 1);
}

#[test]
fn a_member_without_a_restart_policy_ends_the_group() {
    let (mut group, now) = ready_with(RestartPolicy::Always);
    let actions = group.ended(1, ExitStatus::Exited(1), now);
    assert_eq!(
        commands(&actions),
        [&Action::Terminate(0), &Action::Terminate(2)]
    );
    let actions = group.ended(0, ExitStatus::Exited(1), now);
    assert_eq!(
        log_lines(&actions),
        ["a exited with code 1"],
        "no restart in a group that stops"
    );
}

#[test]
fn a_member_that_waits_for_its_restart_is_not_started_when_the_group_stops() {
    let (mut group, now) = ready_with(RestartPolicy::Always);
    group.ended(0, ExitStatus::Exited(1), now);
    let actions = group.stop(StopSignal::Interrupt, now);
    assert_eq!(
        commands(&actions),
        [&Action::Terminate(1), &Action::Terminate(2)]
    );
    group.ended(1, ExitStatus::Exited(0), now);
    group.ended(2, ExitStatus::Exited(0), now);
    assert!(group.is_over() && !group.has_failed());
    assert!(group.tick(now + Duration::from_secs(60)).is_empty());
}

#[test]
fn a_member_that_is_never_ready_is_stopped_or_killed_before_its_restart() {
    let (mut group, now) = started_with(RestartPolicy::OnFailure);
    group.ready(1, now);
    group.ready(2, now);
    let late = now + READY;
    let actions = group.tick(late);
    assert_eq!(log_lines(&actions), ["a was not ready within 10s"]);
    assert_eq!(commands(&actions), [&Action::Terminate(0)]);
    assert!(group.ready(0, late).is_empty(), "too late");
    (1..3).for_each(|index| drop(group.alive(index, late + GRACE)));

    let later = late + GRACE + KILL_MARGIN;
    assert_eq!(group.deadline(), Some(later));
    let actions = group.tick(later);
    assert_eq!(commands(&actions), [&Action::Kill(0)]);
    let actions = group.ended(0, ExitStatus::Killed(9), later);
    assert_eq!(log_lines(&actions)[1], restart_message("1s", 1));
}

#[test]
fn a_member_that_reports_why_it_cannot_start_is_restarted() {
    let (mut group, now) = started_with(RestartPolicy::OnFailure);
    let actions = group.failed(0, "no database", now);
    assert_eq!(log_lines(&actions), ["a failed to start: no database"]);
    let actions = group.ended(0, ExitStatus::Exited(1), now);
    assert_eq!(
        log_lines(&actions),
        ["a exited with code 1", &restart_message("1s", 1)]
    );
}

#[test]
fn a_member_whose_process_cannot_be_started_is_restarted() {
    let (mut group, now) = ready_with(RestartPolicy::OnFailure);
    group.ended(0, ExitStatus::Exited(1), now);
    let due = group.deadline().unwrap();
    assert_eq!(group.tick(due), [Action::Start(0)]);
    let actions = group.not_started(0, "no memory", due);
    assert_eq!(
        log_lines(&actions),
        ["cannot start a: no memory", &restart_message("2s", 2)]
    );
}

#[test]
fn a_member_without_heartbeats_is_killed_and_its_policy_decides() {
    for (policy, last) in [
        (RestartPolicy::OnFailure, restart_message("1s", 1)),
        (RestartPolicy::Never, "a was killed by SIGKILL".to_owned()),
    ] {
        let (mut group, now) = ready_with(policy);
        let beat = now + WATCHDOG / 2;
        (1..3).for_each(|index| drop(group.alive(index, beat)));
        let actions = group.tick(beat);
        let silent = "a sent no heartbeat for 15s: its runtime is blocked; killing it in 15s";
        assert_eq!(
            (log_lines(&actions), commands(&actions)),
            (vec![silent], vec![])
        );
        assert_eq!(
            (group.blocked_names(), group.phase()),
            (vec!["a"], Phase::Ready)
        );
        (1..3).for_each(|index| drop(group.alive(index, now + WATCHDOG)));
        let actions = group.tick(now + WATCHDOG);
        let blocked = "a sent no heartbeat for 30s: its runtime is blocked; killing it";
        assert_eq!(log_lines(&actions), [blocked]);
        assert_eq!(commands(&actions), [&Action::Kill(0)]);
        assert_eq!(group.blocked_names(), [""; 0]);
        assert_eq!(group.deadline(), Some(now + WATCHDOG + WATCHDOG / 2));
        let actions = group.ended(0, ExitStatus::Killed(9), now + WATCHDOG);
        assert_eq!(log_lines(&actions).last(), Some(&last.as_str()));
        assert_eq!(group.has_failed(), policy == RestartPolicy::Never);
    }
}

#[test]
fn a_launcher_that_was_paused_kills_no_member() {
    let (mut group, now) = ready();
    let woken = now + WATCHDOG + LATE + Duration::from_millis(1);
    assert!(group.tick(woken).is_empty());
    assert_eq!(group.deadline(), Some(woken + WATCHDOG / 2));
}

#[test]
fn a_launcher_that_was_paused_grants_the_time_to_start_and_to_stop_again() {
    let late = LATE + Duration::from_millis(1);
    let (mut group, now) = started();
    let woken = now + READY + late;
    assert!(group.tick(woken).is_empty());
    assert_eq!(group.deadline(), Some(woken + READY));
    (0..3).for_each(|index| drop(group.ready(index, woken)));

    group.stop(StopSignal::Terminate, woken);
    let killed_at = woken + GRACE + KILL_MARGIN;
    let woken = killed_at + late;
    assert!(group.tick(woken).is_empty());
    let killed_at = woken + GRACE + KILL_MARGIN;
    assert_eq!(group.deadline(), Some(killed_at));
    assert_eq!(commands(&group.tick(killed_at)).len(), 3, "once more");
}

/// Acts on deadlines that are all noticed too late, and returns how many it took until the first
/// command.
fn late_ticks_until_a_command(group: &mut Group) -> (u32, Action) {
    for count in 1..100 {
        let now = group.deadline().unwrap() + LATE + Duration::from_millis(1);
        let actions = group.tick(now);
        if let Some(command) = commands(&actions).first() {
            return (count, (*command).clone());
        }
    }
    panic!("every deadline is granted again");
}

#[test]
fn a_launcher_whose_timers_are_always_late_still_acts_on_every_deadline() {
    let (mut group, now) = started_with(RestartPolicy::OnFailure);
    (1..3).for_each(|index| drop(group.ended(index, ExitStatus::Exited(0), now)));
    let (count, command) = late_ticks_until_a_command(&mut group);
    assert_eq!(
        (count, command),
        (MOST_GRANTS + 1, Action::Kill(0)),
        "stopping"
    );

    let (mut group, _) = started_with(RestartPolicy::OnFailure);
    let (count, command) = late_ticks_until_a_command(&mut group);
    assert_eq!(
        (count, command),
        (MOST_GRANTS + 1, Action::Terminate(0)),
        "starting"
    );
    let (count, command) = late_ticks_until_a_command(&mut group);
    assert_eq!(
        (count, command),
        (MOST_GRANTS + 1, Action::Kill(0)),
        "failing"
    );

    let (mut group, now) = ready_with(RestartPolicy::OnFailure);
    group.ended(0, ExitStatus::Exited(1), now);
    (1..3).for_each(|index| drop(group.alive(index, now + WATCHDOG)));
    let (_, command) = late_ticks_until_a_command(&mut group);
    assert_eq!(command, Action::Start(0), "waiting for a restart");

    let (mut group, _) = ready();
    let (_, command) = late_ticks_until_a_command(&mut group);
    assert_eq!(command, Action::Kill(0), "without a heartbeat");
}

#[test]
fn after_a_heartbeat_a_pause_of_the_launcher_counts_anew() {
    let (mut group, mut now) = ready();
    for _ in 0..3 * MOST_GRANTS {
        now += WATCHDOG + LATE;
        assert!(group.tick(now).is_empty());
        (0..3).for_each(|index| drop(group.alive(index, now)));
    }
}

#[test]
fn a_pause_before_a_restart_is_over_when_the_launcher_was_paused() {
    let (mut group, now) = ready_with(RestartPolicy::OnFailure);
    group.ended(0, ExitStatus::Exited(1), now);
    let woken = now + Duration::from_secs(9);
    assert!(group.tick(woken).is_empty());
    assert_eq!(commands(&group.tick(woken)), [&Action::Start(0)]);
}

#[test]
fn a_member_that_was_blocked_for_a_while_continues() {
    let (mut group, now) = ready();
    group.tick(now + WATCHDOG / 2);
    assert_eq!(group.blocked_names(), ["a", "b", "c"]);
    let stages: Vec<_> = group.status().map(|status| status.state).collect();
    assert_eq!(stages, ["blocked"; 3]);
    let later = now + WATCHDOG - Duration::from_millis(1);
    assert_eq!(
        log_lines(&group.alive(0, later)),
        ["a sends heartbeats again"]
    );
    assert!(group.alive(0, later).is_empty(), "it is logged once");
    let actions = group.tick(now + WATCHDOG);
    assert_eq!(commands(&actions), [&Action::Kill(1), &Action::Kill(2)]);
    assert_eq!(group.deadline(), Some(later + WATCHDOG / 2));
}

#[test]
fn a_blocked_member_is_asked_to_stop_like_any_other() {
    let (mut group, now) = ready();
    group.tick(now + WATCHDOG / 2);
    let actions = group.stop(StopSignal::Terminate, now + WATCHDOG / 2);
    assert_eq!(commands(&actions).len(), 3);
    assert_eq!(
        group.deadline(),
        Some(now + WATCHDOG / 2 + GRACE + KILL_MARGIN)
    );
}

#[test]
fn a_member_that_sends_no_heartbeats_is_not_watched() {
    let now = Instant::now();
    let mut silent = rules("a", RestartPolicy::Never);
    silent.watchdog = None;
    let mut group = Group::new([silent], || 0.0);
    group.started(0, now);
    group.ready(0, now);
    assert_eq!(group.deadline(), None);
}

#[test]
fn the_status_shows_the_current_state() {
    let (mut group, now) = started_with(RestartPolicy::OnFailure);
    let stages = |group: &Group| {
        group
            .status()
            .map(|status| status.state)
            .collect::<Vec<_>>()
    };
    group.ready(1, now);
    assert_eq!(stages(&group), ["starting", "ready", "starting"]);
    group.ended(0, ExitStatus::Exited(3), now);
    let status = group.status().next().unwrap();
    let expected = Status {
        name: "a".to_owned(),
        state: "backoff",
        restarts: 1,
        last_end: Some(ExitStatus::Exited(3)),
        started: Some(now),
    };
    assert_eq!(status, expected);
    group.stop(StopSignal::Terminate, now);
    assert_eq!(stages(&group), ["ended", "stopping", "stopping"]);
    assert_eq!(group.longest_stop(), GRACE + KILL_MARGIN);
}
