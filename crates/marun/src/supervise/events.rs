//! Everything that can happen to a supervisor, one after the other. It decides nothing.

use std::{io, time::Instant};

use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
    time::sleep_until,
};

use super::{group::StopSignal, member::Heard};

/// How many reports may wait for the supervisor. When they do, those who report wait.
const REPORTS_WAITING: usize = 256;

/// Everything that can happen to a supervisor.
pub(super) enum Event {
    ChildEnded,
    StopAsked(StopSignal),
    Heard(usize, Heard),
    DeadlinePassed,
}

pub(super) struct Events {
    child: SignalStream,
    interrupt: SignalStream,
    terminate: SignalStream,
    /// None where nobody wants it heeded.
    hang_up: Option<SignalStream>,
    pub(super) hear: Sender<(usize, Heard)>,
    heard: Receiver<(usize, Heard)>,
}

impl Events {
    /// Must come before the first child, whose end would go unheard otherwise.
    pub(super) fn listen() -> io::Result<Self> {
        let (hear, heard) = channel(REPORTS_WAITING);
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hang_up()?,
            hear,
            heard,
        })
    }

    /// Completes when one or more children have ended since it was last asked.
    pub(super) async fn child_ended(&mut self) {
        self.child.recv().await;
    }

    pub(super) async fn next(&mut self, deadline: Option<Instant>) -> Event {
        let deadline_passed = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order: what a member reported before it ended is heard before its end.
            biased;
            _ = self.interrupt.recv() => Event::StopAsked(StopSignal::Interrupt),
            _ = self.terminate.recv() => Event::StopAsked(StopSignal::Terminate),
            _ = hung_up => Event::StopAsked(StopSignal::HangUp),
            Some((index, heard)) = self.heard.recv() => Event::Heard(index, heard),
            _ = self.child.recv() => Event::ChildEnded,
            () = deadline_passed => Event::DeadlinePassed,
        }
    }
}

/// SIGHUP, the end of the terminal; a launcher that was started under `nohup` has to survive it.
fn hang_up() -> io::Result<Option<SignalStream>> {
    match hang_ups_are_ignored() {
        true => Ok(None),
        false => signal(SignalKind::hangup()).map(Some),
    }
}

/// Where the system has no `/proc`, nobody knows; then they are, because `nohup` is there for it, and without it the
/// end of the launcher is the end of the group too.
fn hang_ups_are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").map_or(true, |status| ignores_hang_ups(&status))
}

/// `SigIgn` is a mask, in hexadecimal digits, whose lowest bit is the signal 1, which is SIGHUP.
fn ignores_hang_ups(status: &str) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_told_by_the_system() {
        let status =
            |mask: &str| format!("Name:\tmarun\nSigBlk:\t1\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert!(ignores_hang_ups(&status("0000000000001001")));
        assert!(!ignores_hang_ups(&status("0000000000001000")));
        assert!(!ignores_hang_ups("Name:\tmarun\n"));
    }
}
