//! The supervisor's connection to the sentinel, the process that ends the group if the launcher is
//! killed.

use std::{io, io::Write, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{events::Events, pause::within, spawn};
use crate::{
    member::{sentinel, tag::GroupTag},
    settings::Variables,
};

/// The time in which the sentinel must exit when it is dismissed. A suspended sentinel does not
/// exit.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// A running sentinel.
pub(super) struct Sentinel {
    pid: Pid,
    /// Non-blocking, so that a suspended sentinel does not block the supervisor.
    pipe: io::PipeWriter,
    /// Bytes that are not written to the pipe yet.
    unsent: Vec<u8>,
}

impl Sentinel {
    pub(super) fn start(tag: &GroupTag, variables: &Variables) -> io::Result<Self> {
        let (pid, pipe) = spawn::spawn_sentinel(tag, variables)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pid,
            pipe,
            unsent: Vec::new(),
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Reports that a process group was started or has ended.
    pub(super) fn notify(&mut self, group: Pid, lives: bool) {
        self.send(&sentinel::line(group, lives));
    }

    /// Ends the sentinel, when no process is left that it must end.
    pub(super) async fn dismiss(mut self, events: &mut Events) {
        self.send(sentinel::DISMISSAL);
        // Without this line the sentinel would take the end of the pipe for the death of the
        // supervisor.
        if self.unsent.is_empty() {
            drop(self.pipe);
            let ended = async {
                while !has_ended(self.pid) {
                    events.child_ended().await;
                }
            };
            if within(EXIT_TIMEOUT, ended).await.is_some() {
                return;
            }
        }
        // SIGKILL ends a suspended process too.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }

    fn send(&mut self, text: &str) {
        self.unsent.extend_from_slice(text.as_bytes());
        while !self.unsent.is_empty() {
            match self.pipe.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The sentinel has ended; this is noticed like the end of any child.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}

/// Returns whether the process has ended, and collects it.
fn has_ended(pid: Pid) -> bool {
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}
