//! The supervisor's side of the sentinel: the process that ends what a killed launcher leaves behind. It never waits for it
//! without bound.

use std::{io, io::Write, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::{events::Events, pause::within, spawn};
use crate::{
    member::{sentinel, tag::GroupTag},
    settings::Variables,
};

/// How long it may take to end when it is dismissed; one that is stopped does not.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// The sentinel, as long as it lives.
pub(super) struct Sentinel {
    pid: Pid,
    /// Non-blocking: a sentinel that stands still must not keep the supervisor.
    pipe: io::PipeWriter,
    /// What the pipe has not taken yet.
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

    /// Tells of a process group that lives now, or no longer.
    pub(super) fn notify(&mut self, group: Pid, lives: bool) {
        self.send(&sentinel::line(group, lives));
    }

    /// Ends it: nothing is left behind.
    pub(super) async fn dismiss(mut self, events: &mut Events) {
        self.send(sentinel::DISMISSAL);
        // One that has not got the farewell would take the pipe's end for the supervisor's death.
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
        // SIGKILL ends a stopped process too, and nothing keeps this one from dying.
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }

    fn send(&mut self, text: &str) {
        self.unsent.extend_from_slice(text.as_bytes());
        while !self.unsent.is_empty() {
            match self.pipe.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Where it is gone, its end is noticed as that of any child.
                Err(_) => self.unsent.clear(),
            }
        }
    }
}

/// Whether it is no longer a child that lives; it is collected then.
fn has_ended(pid: Pid) -> bool {
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}
