//! Start and end of a group: whoever ends it, however it ends, no process is left. A test that
//! bears a line's number proves that line of the failure contract.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::group::{Folder, Group, LONG, marun, pid_of, program};

microagent_testing::needs! {
    unshare {
        fn line_59_as_the_first_process_of_a_container_it_buries_orphans_and_hears_sigterm,
    }
}

const TWO: &str = "
    [agent.first]
    backend = 'Actor'
    [agent.second]
    backend = 'Actor'
";

fn one(settings: &str) -> String {
    format!("[agent.first]\nbackend = 'Actor'\nsettings = {settings}\n")
}

fn with_second(settings: &str) -> String {
    format!("{}[agent.second]\nbackend = 'Actor'\n", one(settings))
}

#[test]
fn ctrl_c_drains_everyone_and_is_no_failure() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        // If the tests run under `nohup`, the launcher would survive its terminal as well.
        let mut launcher = Command::new("env");
        launcher
            .arg("--default-signal=HUP")
            .arg(marun().get_program())
            .env_remove("RUST_LOG");
        let mut group = Group::run(launcher, Folder::of(TWO), &[]);
        group.wait_until_ready();
        group.signal(signal);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
        for name in ["first", "second"] {
            group.assert_has(&[&format!("last words of {name}")]);
            group.assert_has(&[&format!("{name} stopped")]);
        }
    }
}

#[test]
fn under_nohup_a_group_survives_its_terminal() {
    let mut launcher = Command::new("nohup");
    launcher.arg(marun().get_program()).env_remove("RUST_LOG");
    let mut group = Group::run(launcher, Folder::of(TWO), &[]);
    group.wait_until_ready();
    group.signal(Signal::HUP);
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["SIGTERM received; stopping"]);
    assert_eq!(group.count("SIGHUP"), 0, "{}", group.log());
}

#[test]
fn a_program_runs_its_own_agents_with_and_without_the_word_run() {
    for word in [&["run"][..], &[]] {
        let mut launcher = program();
        launcher.args(word);
        let folder =
            Folder::with("program = 'this-is-not-asked'\n[agent.first]\nbackend = 'Actor'\n");
        let mut group = Group::run(launcher, folder, &[]);
        group.wait_until_ready();
        group.signal(Signal::INT);
        assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    }
}

#[test]
fn several_files_make_one_group() {
    let other = Folder::of("[agent.third]\nbackend = 'Actor'\n");
    let mut group = Group::run(marun(), Folder::of(TWO), &[&other.settings()]);
    let agents = group.wait_until_ready();
    assert_eq!(Vec::from_iter(agents.keys()), ["first", "second", "third"]);
    kill_process(agents["third"], Signal::KILL).unwrap();
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["last words of first"]);
}

#[test]
fn one_that_ends_by_itself_ends_the_group_without_a_failure() {
    let mut group = Group::start(&with_second("{ act = 'end' }"));
    let agents = group.wait_until_ready();
    kill_process(agents["first"], Signal::USR1).unwrap();
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["INFO", "first ended by itself"]);
    group.assert_has(&["last words of second"]);
}

#[test]
fn line_57_one_that_fails_ends_the_group_with_a_failure_that_names_it() {
    let cases = [
        ("fail", "smtp said no", "first exited with code 1"),
        ("panic", "in its server", "first exited with code 1"),
        ("exit", "first", "first exited with code 7"),
    ];
    for (act, reason, log_line) in cases {
        let mut group = Group::start(&with_second(&format!("{{ act = '{act}' }}")));
        let agents = group.wait_until_ready();
        kill_process(agents["first"], Signal::USR1).unwrap();
        assert_eq!(group.wait_for_end(), Some(1), "{act}: {}", group.log());
        group.assert_has(&["first", reason]);
        group.assert_has(&["marun", "ERROR", log_line]);
        group.assert_has(&["last words of second"]);
    }
}

#[test]
fn line_57_the_kill_of_one_is_named_and_the_others_drain() {
    let mut group = Group::start(TWO);
    let agents = group.wait_until_ready();
    kill_process(agents["second"], Signal::KILL).unwrap();
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["marun", "ERROR", "second was killed by SIGKILL"]);
    group.assert_has(&["last words of first"]);
    assert!(!group.has(&["last words of second"]), "{}", group.log());
}

#[test]
fn one_that_cannot_start_is_named_with_its_reason() {
    let cases = [
        ("fail", "first failed to start: creating Actor: no database"),
        ("panic", "first exited with code 101 before it was ready"),
        ("exit", "first ended by itself before it was ready"),
    ];
    for (start, reason) in cases {
        let mut group = Group::start(&with_second(&format!("{{ start = '{start}' }}")));
        assert_eq!(group.wait_for_end(), Some(1), "{start}: {}", group.log());
        group.assert_has(&["marun", "ERROR", reason]);
        assert!(!group.has(&["all agents are ready"]), "{}", group.log());
    }
}

#[test]
fn line_61_one_that_is_never_ready_is_named_after_its_time() {
    let agents = format!("{}ready_timeout = '500ms'\n", one("{ start = 'hang' }"));
    let mut group = Group::start(&agents);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["marun", "ERROR", "first was not ready within 500ms"]);
}

#[test]
fn a_stop_during_the_start_is_no_failure() {
    let mut group = Group::start(&one("{ start = 'hang' }"));
    group.wait_for("hanging");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn line_55_one_that_does_not_stop_is_killed_after_its_grace() {
    let grace = Duration::from_millis(500);
    let mut group = Group::start(&format!("{}grace = 0.5\n", one("{ stop = 'deaf' }")));
    group.wait_until_ready();
    let asked = Instant::now();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    let took = asked.elapsed();
    assert!(
        took >= grace && took < grace + Duration::from_secs(1),
        "{took:?}"
    );
    group.assert_has(&[
        "marun",
        "ERROR",
        "first did not stop within its grace of 500ms",
    ]);
}

#[test]
fn one_that_works_until_its_grace_is_over_ends_by_itself() {
    let mut group = Group::start(&format!("{}grace = 0.5\n", one("{ stop = 'slow' }")));
    group.wait_until_ready();
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["first", "grace is over"]);
}

/// So long after the first request a second one forces.
pub(crate) const FORCE_AFTER: Duration = Duration::from_millis(500);

#[test]
fn line_58_two_sigints_at_once_are_one() {
    let mut group = Group::start(&one("{}"));
    group.wait_until_ready();
    group.signal(Signal::INT);
    group.wait_for("SIGINT received; stopping");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["last words of first"]);
}

#[test]
fn line_58_a_second_sigint_kills_at_once() {
    let mut group = Group::start(&one("{ stop = 'deaf' }"));
    group.wait_until_ready();
    let asked = Instant::now();
    group.signal(Signal::INT);
    group.wait_for("last words of first");
    thread::sleep(FORCE_AFTER);
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "the grace is 30 s"
    );
    group.assert_has(&["second SIGINT received; killing first"]);
}

#[test]
fn line_56_the_children_of_an_agent_end_with_it() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut group = Group::start(&one("{ child = true }"));
        let agents = group.wait_until_ready();
        let child = pid_of(&group.wait_for("child "));
        assert!(group.living().contains(&child));
        kill_process(agents["first"], signal).unwrap();
        // It also asserts that nothing of the group is left.
        group.wait_for_end();
    }
}

/// Returns whether the process runs. A process that has ended but is not collected does not run.
fn is_running(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

#[test]
fn line_56_what_has_left_its_session_and_its_parent_ends_too() {
    for kind in ["kept", "forgetful"] {
        for signal in [Signal::KILL, Signal::TERM] {
            let mut group = Group::start(&one(&format!("{{ daemon = '{kind}' }}")));
            let agents = group.wait_until_ready();
            let daemon = pid_of(&group.wait_for("daemon "));
            assert!(is_running(daemon), "its agent lives");
            kill_process(agents["first"], signal).unwrap();
            group.wait_for_end();
            assert!(!is_running(daemon), "{kind}: {}", group.log());
        }
    }
}

/// A shell that leaves an orphan behind and waits until it is collected, then asks the first
/// process to stop.
const UNDERTAKING: &str = "
    [agent.shell]
    command = ['sh', '-c', '''
        orphan=$(sh -c 'exit 0 & echo $!')
        while [ -e /proc/$orphan ]; do :; done
        kill -TERM 1
        wait
    ''']
";

fn line_59_as_the_first_process_of_a_container_it_buries_orphans_and_hears_sigterm() {
    let container = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let allowed = Command::new("unshare").args(container).arg("true").output();
    assert!(
        allowed.is_ok_and(|output| output.status.success()),
        "`unshare --pid` is missing or not allowed here; SKIP_SERVICES=\"unshare\" ignores this test"
    );
    let mut launcher = Command::new("unshare");
    launcher.args(container).arg(marun().get_program());
    let mut group = Group::run(launcher, Folder::of(UNDERTAKING), &[]);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["SIGTERM received; stopping"]);
}

const FOREIGN: &str = "
    [agent.shell]
    command = ['sh', '-c', 'trap \"\" TERM; sleep 600 & echo child $!; wait']
    grace = 0.2
";

#[test]
fn a_program_of_another_kind_is_a_member() {
    let agents = "
        [agent.shell]
        command = ['sh', '-c', 'echo one; exit 3']
        [agent.second]
        backend = 'Actor'
    ";
    let mut group = Group::start(agents);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["shell", "| one"]);
    group.assert_has(&["ERROR", "shell exited with code 3"]);
}

#[test]
fn a_program_that_knows_no_sigterm_stops_cleanly() {
    let mut group = Group::start("[agent.sleep]\ncommand = ['sleep', '600']\n");
    group.wait_until_ready();
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
}

#[test]
fn lines_55_and_56_a_program_that_ignores_sigterm_is_killed_with_its_children() {
    let mut group = Group::start(FOREIGN);
    group.wait_until_ready();
    group.wait_for("child ");
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
}

#[test]
fn a_group_without_its_sentinel_does_not_go_on() {
    let mut group = Group::start(TWO);
    group.wait_until_ready();
    kill_process(group.sentinel(), Signal::KILL).unwrap();
    assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
    group.assert_has(&["marun", "ERROR", "sentinel", "was killed by SIGKILL"]);
    group.assert_has(&["last words of first"]);
}

#[test]
fn line_54_nothing_outlives_a_killed_supervisor() {
    let agents = format!(
        "{}{FOREIGN}",
        with_second("{ child = true, daemon = 'kept', stop = 'deaf' }")
    );
    let mut group = Group::start(&agents);
    group.wait_until_ready();
    // One of the agent and one of the shell.
    group.wait_for("first  | child ");
    group.wait_for("shell  | child ");
    group.wait_for("first  | daemon ");
    assert!(group.living().len() > 5);
    group.kill_supervisor(Duration::from_secs(1));
}

#[test]
fn line_54_nothing_outlives_a_supervisor_that_is_killed_while_it_starts() {
    let agents = format!("{TWO}[agent.third]\nbackend = 'Actor'\n{FOREIGN}");
    for lines in 0..12 {
        let mut group = Group::run(marun(), Folder::of(&agents), &[]);
        for _ in 0..lines {
            group.next_line();
        }
        group.kill_supervisor(Duration::from_secs(1));
    }
}

#[test]
fn line_54_nothing_outlives_a_supervisor_that_is_killed_right_after_a_fork() {
    let agents = format!("{TWO}[agent.third]\nbackend = 'Actor'\n{FOREIGN}");
    for processes in 2..=6 {
        let mut group = Group::run(marun(), Folder::of(&agents), &[]);
        let deadline = Instant::now() + LONG;
        while group.living().len() < processes {
            assert!(Instant::now() < deadline, "{}", group.log());
        }
        group.kill_supervisor(Duration::from_secs(1));
    }
}
