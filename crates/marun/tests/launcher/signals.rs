//! Line 69 of the failure contract: signals that whoever starts the launcher has blocked or
//! ignored.

use std::{path::Path, process::Command};

use rustix::process::Signal;

use crate::group::{Folder, Group, marun, program_path};

/// An agent, a program that tells its mask, and one that ends by itself with a failure.
const AGENTS: &str = "
    [agent.first]
    backend = 'Actor'
    [agent.shell]
    command = ['sh', '-c', 'grep -E \"^Sig(Blk|Ign)\" /proc/self/status; exec sleep 600']
";

fn inherits(options: &[&str], program: &Path) -> Command {
    let mut launcher = Command::new("env");
    launcher.args(options).arg(program).env_remove("RUST_LOG");
    launcher
}

#[test]
fn line_69_blocked_signals_stop_a_group_nevertheless() {
    for signal in [Signal::TERM, Signal::INT] {
        for options in [
            &["--block-signal=CHLD,TERM,INT,HUP"],
            &["--ignore-signal=CHLD,TERM,INT"],
        ] {
            let launcher = inherits(options, Path::new(marun().get_program()));
            let mut group = Group::run(launcher, Folder::of(AGENTS), &[]);
            group.wait_until_ready();
            group.wait_for("SigBlk:\t0000000000000000");
            let ignored = group.wait_for("SigIgn:\t");
            let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
            let bit = |signal: Signal| 1 << (signal.as_raw() - 1);
            assert_eq!(ignored & (bit(Signal::CHILD) | bit(Signal::TERM)), 0);
            group.signal(signal);
            assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
            group.assert_has(&["last words of first"]);
        }
    }
}

#[test]
fn line_69_the_end_of_a_member_is_noticed_nevertheless() {
    let agents = "[agent.shell]\ncommand = ['sh', '-c', 'exit 3']\n";
    for options in [&["--block-signal=CHLD"], &["--ignore-signal=CHLD"]] {
        let launcher = inherits(options, Path::new(marun().get_program()));
        let mut group = Group::run(launcher, Folder::of(agents), &[]);
        assert_eq!(group.wait_for_end(), Some(1), "{}", group.log());
        group.assert_has(&["shell exited with code 3"]);
    }
}

#[test]
fn line_69_a_program_that_contains_its_agents_is_such_a_launcher_too() {
    let agents = "[agent.first]\nbackend = 'Actor'\n";
    let launcher = inherits(&["--block-signal"], &program_path());
    let mut group = Group::run(launcher, Folder::of(agents), &[]);
    group.wait_until_ready();
    group.signal(Signal::TERM);
    assert_eq!(group.wait_for_end(), Some(0), "{}", group.log());
    group.assert_has(&["last words of first"]);
}
