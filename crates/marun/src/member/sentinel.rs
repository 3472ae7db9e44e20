//! `__sentinel`: a process that ends the processes of a supervisor that was killed.
//!
//! Agents end by themselves (`supervisor_watch.rs`). Programs without agents, and the processes
//! that members start, do not. The supervisor writes all process groups to the standard input of
//! the sentinel. If that ends without the dismissal, the sentinel kills these groups and all other
//! processes with the supervisor's tag.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use super::tag::GroupTag;

/// The time between SIGTERM and SIGKILL.
const TERM_TIME: Duration = Duration::from_millis(500);

/// The number of searches for processes that were started while others were killed.
const KILL_ROUNDS: usize = 20;

/// The last line of a supervisor whose processes have all ended.
pub(crate) const DISMISSAL: &str = ".\n";

/// Reads lines `+GROUP` and `-GROUP` until the supervisor is gone, then kills the remaining groups
/// and all processes with the tag.
pub(crate) fn watch(tag: &str) {
    let Some(groups) = groups_left(io::stdin().lock()) else {
        return;
    };
    let tag = GroupTag::of(tag);
    kill_groups(&groups, Signal::TERM);
    kill_all(&strays(&tag, &groups), Signal::TERM);
    #[expect(
        clippy::disallowed_methods,
        reason = "the pause between SIGTERM and SIGKILL"
    )]
    thread::sleep(TERM_TIME);
    kill_groups(&groups, Signal::KILL);
    let mut found_none = false;
    for _ in 0..KILL_ROUNDS {
        let processes_with_tag = tag.processes_with_tag();
        // A process that calls `exec` has no environment for a moment, so one search is not enough.
        if processes_with_tag.is_empty() && found_none {
            return;
        }
        found_none = processes_with_tag.is_empty();
        kill_all(&processes_with_tag, Signal::KILL);
    }
}

/// Returns the line that adds or removes a process group.
pub(crate) fn line(group: Pid, lives: bool) -> String {
    let sign = if lives { '+' } else { '-' };
    format!("{sign}{group}\n")
}

/// Returns the groups that are left at the end of the input, or `None` after the dismissal.
fn groups_left(input: impl BufRead) -> Option<BTreeSet<i32>> {
    let mut groups = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        if line == DISMISSAL.trim_end() {
            return None;
        }
        let Some((sign, number)) = line.split_at_checked(1) else {
            continue;
        };
        match (sign, number.parse()) {
            ("+", Ok(group)) => drop(groups.insert(group)),
            ("-", Ok(group)) => drop(groups.remove(&group)),
            _ => {}
        }
    }
    Some(groups)
}

/// Returns the processes with the tag outside of these groups, so that no process gets a signal
/// twice.
fn strays(tag: &GroupTag, groups: &BTreeSet<i32>) -> Vec<Pid> {
    let mut strays = tag.processes_with_tag();
    strays.retain(|pid| {
        let group = getpgid(Some(*pid)).map(|group| group.as_raw_nonzero().get());
        !group.is_ok_and(|group| groups.contains(&group))
    });
    strays
}

fn kill_groups(groups: &BTreeSet<i32>, signal: Signal) {
    for group in groups.iter().copied().filter_map(Pid::from_raw) {
        // It fails if no process is left.
        let _ = kill_process_group(group, signal);
    }
}

fn kill_all(processes: &[Pid], signal: Signal) {
    for pid in processes {
        let _ = kill_process(*pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_added_and_removed() {
        let name = |raw: i32, lives| line(Pid::from_raw(raw).unwrap(), lives);
        let text = [name(7, true), name(9, true), name(7, false)].concat();
        assert_eq!(text, "+7\n+9\n-7\n");
        assert_eq!(groups_left(text.as_bytes()), Some(BTreeSet::from([9])));
        assert_eq!(groups_left(&b"\nx\n+z\n"[..]), Some(BTreeSet::new()));
        assert_eq!(groups_left(format!("{text}{DISMISSAL}").as_bytes()), None);
    }
}
