//! Ends servers whose test program has ended without dropping them.

use std::{
    io,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A shell that reads from a pipe which only this process holds open. When the pipe ends, it kills the processes of a
/// folder and removes the folder.
#[derive(Debug)]
pub(super) struct Watcher(Child);

impl Watcher {
    /// Starts the shell. The files in the folder contain the numbers of the processes.
    pub(super) fn start(folder: &Path, files: &[&str]) -> io::Result<Self> {
        // Another process may have the number by now; the right one works in the folder.
        let script = r#"read -r _
            cd "$1" || exit
            shift
            for pid in $(for file; do cat "$file"; echo; done); do
                [ "$(readlink "/proc/$pid/cwd")" = "$PWD" ] && kill -9 "$pid"
            done
            rm -rf "$PWD""#;
        let child = Command::new("sh")
            .args(["-c", script, "watcher"])
            .arg(folder)
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.map(Self)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_watcher_ends_both_processes_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let sleeping = || {
            let mut command = Command::new("sleep");
            command.arg("20").current_dir(&folder).spawn().unwrap()
        };
        let mut children = [sleeping(), sleeping()];
        for (child, file) in children.iter().zip(["pid", "epmd.pid"]) {
            fs::write(folder.path().join(file), child.id().to_string()).unwrap();
        }
        drop(Watcher::start(folder.path(), &["pid", "epmd.pid"]).unwrap());
        for child in &mut children {
            assert!(!child.wait().unwrap().success(), "it was not killed");
        }
    }
}
