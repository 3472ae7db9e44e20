//! The tag of the processes of a group: an environment variable that all of them inherit.
//!
//! It is the only trace of the member in a process that has left its process group and whose
//! parents have ended. Such processes are found in `/proc`; without it, none is found.

use std::{fs, path::Path};

use rustix::process::{Pid, getpid};

/// The variable. Its value is the tag of the supervisor, a dot, and the serial number of the
/// member's process.
pub(crate) const VARIABLE: &str = "MARUN_MEMBER";

/// The tag of one supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupTag(String);

impl GroupTag {
    /// Creates the tag of this process. It has a random part, because process numbers are reused.
    pub(crate) fn new() -> Self {
        Self(format!("{}-{:016x}", getpid(), fastrand::u64(..)))
    }

    /// Creates the tag from its text.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the value of the variable for the member with the serial number `serial`.
    pub(crate) fn member(&self, serial: u64) -> String {
        format!("{}.{serial}", self.0)
    }

    /// Returns the serial number of the member that a living process comes from. It is `None` for a
    /// process without this tag, and for one that is calling `exec` at this moment.
    pub(crate) fn serial_of(&self, pid: Pid) -> Option<u64> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        self.serial_in(&environment)
    }

    fn serial_in(&self, environment: &[u8]) -> Option<u64> {
        let named = format!("{VARIABLE}={}.", self.0);
        let mut variables = environment.split(|byte| *byte == 0);
        let serial = variables.find_map(|variable| variable.strip_prefix(named.as_bytes()))?;
        std::str::from_utf8(serial).ok()?.parse().ok()
    }

    /// Returns all living processes with this tag.
    pub(crate) fn processes_with_tag(&self) -> Vec<Pid> {
        let has_tag = |pid: &Pid| self.serial_of(*pid).is_some();
        processes().filter(has_tag).collect()
    }
}

/// Returns the living children of this process, including adopted ones.
pub(crate) fn children() -> Vec<Pid> {
    let own = Some(getpid());
    let is_child = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| parent_in(&stat) == own)
    };
    processes().filter(is_child).collect()
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir(Path::new("/proc")).into_iter().flatten();
    entries.filter_map(|entry| {
        let number = entry.ok()?.file_name();
        Pid::from_raw(number.to_str()?.parse().ok()?)
    })
}

/// Returns the parent in a `/proc/PID/stat` of a living process: `PID (NAME) STATE PARENT …`. The
/// name may contain any characters.
fn parent_in(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Pid::from_raw(parent).filter(|_| !matches!(state, "Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_tag_is_recognized() {
        let tag = GroupTag::new();
        let environment = |value: String| format!("A=B\0{VARIABLE}={value}\0C=D\0").into_bytes();
        assert_eq!(tag.serial_in(&environment(tag.member(7))), Some(7));
        assert_eq!(tag.serial_in(&environment(GroupTag::new().member(7))), None);
        assert_eq!(
            tag.serial_in(&environment(format!("{}7", tag.as_str()))),
            None
        );
        assert_eq!(tag.serial_in(b""), None);
        assert_eq!(GroupTag::of(tag.as_str()), tag);
    }

    #[test]
    fn a_parent_is_found_for_any_name_of_its_child() {
        let parent = |text| parent_in(text).map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(parent("7 (sh) S 3 7 7 0"), Some(3));
        assert_eq!(parent("7 (a) R 9 (b) S 3 7 7 0"), Some(3));
        assert_eq!(parent("7 (sh) Z 3 7 7 0"), None, "it is dead");
        assert_eq!(parent("7 (init) S 0 7 7 0"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn children_and_tagged_processes_are_found_in_the_system() {
        let tag = GroupTag::new();
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .env(VARIABLE, tag.member(3))
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        // A started program is visible before its environment is.
        while tag.serial_of(pid).is_none() {
            std::thread::yield_now();
        }
        assert!(children().contains(&pid));
        assert_eq!(
            (tag.processes_with_tag(), tag.serial_of(pid)),
            (vec![pid], Some(3))
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&pid) && tag.processes_with_tag().is_empty());
    }
}
