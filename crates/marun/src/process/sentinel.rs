//! `__sentinel`: outlives a supervisor that was killed by a moment, to end the processes that it leaves behind.
//!
//! Agents end by themselves (`lifeline.rs`); what they have started, and programs of another kind, know no
//! supervisor. It names all process groups here, and the end of this process's standard input means: end them.

use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

/// Between SIGTERM and SIGKILL.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Reads `+GROUP` and `-GROUP` lines until the supervisor is gone, then ends the groups that are left.
pub(crate) fn watch() {
    let left = groups_left(io::stdin().lock());
    if left.is_empty() {
        return;
    }
    kill(&left, Signal::TERM);
    thread::sleep(LAST_WORDS);
    kill(&left, Signal::KILL);
}

/// The line that names a group, or takes it back.
pub(crate) fn line(group: Pid, lives: bool) -> String {
    let sign = if lives { '+' } else { '-' };
    format!("{sign}{group}\n")
}

fn groups_left(input: impl BufRead) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    for line in input.lines().map_while(Result::ok) {
        let Some((sign, number)) = line.split_at_checked(1) else {
            continue;
        };
        match (sign, number.parse()) {
            ("+", Ok(group)) => drop(groups.insert(group)),
            ("-", Ok(group)) => drop(groups.remove(&group)),
            _ => {}
        }
    }
    groups
}

fn kill(groups: &BTreeSet<i32>, signal: Signal) {
    for group in groups.iter().copied().filter_map(Pid::from_raw) {
        // It fails where nobody is left, which is what is wanted.
        let _ = kill_process_group(group, signal);
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
        assert_eq!(groups_left(text.as_bytes()), BTreeSet::from([9]));
        assert_eq!(groups_left(&b"\nx\n+z\n"[..]), BTreeSet::new());
    }
}
