//! `__sentinel`: outlives a supervisor that was killed by a moment, to end the processes that it leaves behind.
//!
//! Agents end by themselves (`supervisor_watch.rs`); what they have started, and programs of another kind, know no
//! supervisor. It names all process groups here, and the end of this process's standard input without a farewell
//! means: end them, and whatever else bears the supervisor's mark.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use super::tag::GroupTag;

/// Between SIGTERM and SIGKILL.
const TERM_TIME: Duration = Duration::from_millis(500);

/// How often those are looked for that were started while the others were killed.
const KILL_ROUNDS: usize = 20;

/// The last line of a supervisor that has left nothing behind.
pub(crate) const DISMISSAL: &str = ".\n";

/// Reads `+GROUP` and `-GROUP` lines until the supervisor is gone, then ends the groups that are left, and the bearers of
/// its mark.
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
        // A process that becomes another program has no environment for a moment, so one look is not enough.
        if processes_with_tag.is_empty() && found_none {
            return;
        }
        found_none = processes_with_tag.is_empty();
        kill_all(&processes_with_tag, Signal::KILL);
    }
}

/// The line that names a group, or takes it back.
pub(crate) fn line(group: Pid, lives: bool) -> String {
    let sign = if lives { '+' } else { '-' };
    format!("{sign}{group}\n")
}

/// None where the supervisor took its leave.
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

/// The bearers of the mark outside of these groups: nobody is to hear a signal twice.
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
        // It fails where nobody is left, which is what is wanted.
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
    fn groups_come_and_go() {
        let name = |raw: i32, lives| line(Pid::from_raw(raw).unwrap(), lives);
        let text = [name(7, true), name(9, true), name(7, false)].concat();
        assert_eq!(text, "+7\n+9\n-7\n");
        assert_eq!(groups_left(text.as_bytes()), Some(BTreeSet::from([9])));
        assert_eq!(groups_left(&b"\nx\n+z\n"[..]), Some(BTreeSet::new()));
        assert_eq!(groups_left(format!("{text}{DISMISSAL}").as_bytes()), None);
    }
}
