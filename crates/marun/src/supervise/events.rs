//! The events of a supervisor: signals, reports of members, ended children, and deadlines.

use std::{io, time::Instant};

use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    sync::mpsc::{Receiver, Sender, channel},
    time::sleep_until,
};

use super::{group::StopSignal, member::ControlEvent};

/// The number of reports that may wait for the supervisor. At this limit the members that report
/// wait.
const REPORTS_WAITING: usize = 256;

/// An event of a supervisor.
pub(super) enum Event {
    ChildEnded,
    StopRequested(StopSignal),
    Control(usize, ControlEvent),
    DeadlinePassed,
}

/// The source of all events of a supervisor.
pub(super) struct Events {
    child: SignalStream,
    interrupt: SignalStream,
    terminate: SignalStream,
    /// `None` if the launcher ignores SIGHUP.
    hang_up: Option<SignalStream>,
    pub(super) sender: Sender<(usize, ControlEvent)>,
    receiver: Receiver<(usize, ControlEvent)>,
    /// The number of events in a row that were preferred to a deadline that had passed.
    preferred: usize,
}

impl Events {
    /// Starts to listen for signals. It must run before the first child is started: the end of an
    /// earlier child would be missed.
    pub(super) fn listen() -> io::Result<Self> {
        let (sender, receiver) = channel(REPORTS_WAITING);
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hang_up()?,
            sender,
            receiver,
            preferred: 0,
        })
    }

    /// Waits until one or more children have ended since the last call.
    pub(super) async fn child_ended(&mut self) {
        self.child.recv().await;
    }

    /// Returns the next event. Events that wait are preferred to a deadline that has passed,
    /// because they happened before it; but no more of them in a row than can wait, so that a flood
    /// of reports or signals delays no deadline.
    pub(super) async fn next(&mut self, deadline: Option<Instant>) -> Event {
        if self.prefers_deadline(deadline) {
            return Event::DeadlinePassed;
        }
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
        // In random order, so that a flood of reports does not hide ended children. A member has
        // ended when both have arrived: the end of its process and the end of its reports.
        let of_members = async {
            tokio::select! {
                Some((index, event)) = self.receiver.recv() => Event::Control(index, event),
                _ = self.child.recv() => Event::ChildEnded,
            }
        };
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Event::StopRequested(StopSignal::Interrupt),
            _ = self.terminate.recv() => Event::StopRequested(StopSignal::Terminate),
            _ = hung_up => Event::StopRequested(StopSignal::HangUp),
            event = of_members => event,
            () = deadline_passed => Event::DeadlinePassed,
        }
    }

    fn prefers_deadline(&mut self, deadline: Option<Instant>) -> bool {
        let has_passed = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if has_passed && self.preferred < REPORTS_WAITING {
            self.preferred += 1;
            return false;
        }
        self.preferred = 0;
        has_passed
    }
}

/// Returns the stream of SIGHUP, the end of the terminal, or `None` if the launcher was started by
/// `nohup` and must ignore it.
fn hang_up() -> io::Result<Option<SignalStream>> {
    if hang_ups_are_ignored() {
        Ok(None)
    } else {
        signal(SignalKind::hangup()).map(Some)
    }
}

/// Returns whether this process was started with SIGHUP ignored.
///
/// Without `/proc` this is unknown. Then SIGHUP counts as ignored, so that `nohup` works; without
/// `nohup`, SIGHUP kills the launcher, and with it the group.
fn hang_ups_are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").map_or(true, |status| ignores_hang_ups(&status))
}

/// Returns whether a `/proc/self/status` says that SIGHUP is ignored. `SigIgn` is a mask in
/// hexadecimal digits, whose lowest bit is signal 1, SIGHUP.
fn ignores_hang_ups(status: &str) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    use super::*;
    use crate::member::control::Report;

    impl Events {
        fn report(&self) {
            let report = ControlEvent::Report(Report::Alive);
            self.sender.try_send((0, report)).unwrap();
        }
    }

    /// Takes events, a new report after each report, until the deadline has passed; returns how
    /// many came before.
    async fn events_before(deadline: Instant, events: &mut Events) -> usize {
        for count in 0..10 * REPORTS_WAITING {
            match events.next(Some(deadline)).await {
                Event::DeadlinePassed => return count,
                Event::Control(..) => events.report(),
                _ => {}
            }
        }
        panic!("the deadline was never noticed");
    }

    #[tokio::test]
    async fn a_flood_of_reports_does_not_hide_a_deadline() {
        let mut events = Events::listen().unwrap();
        (0..REPORTS_WAITING).for_each(|_| events.report());
        let passed = Instant::now();
        for _ in 0..2 {
            assert_eq!(events_before(passed, &mut events).await, REPORTS_WAITING);
        }
    }

    #[tokio::test]
    async fn a_flood_of_reports_does_not_hide_the_end_of_a_child() {
        let mut events = Events::listen().unwrap();
        events.report();
        kill_process(getpid(), Signal::CHILD).unwrap();
        for _ in 0..100_000 {
            match events.next(None).await {
                Event::ChildEnded => return,
                _ => events.report(),
            }
            tokio::task::yield_now().await;
        }
        panic!("the end of the child was never noticed");
    }

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let status =
            |mask: &str| format!("Name:\tmarun\nSigBlk:\t1\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert!(ignores_hang_ups(&status("0000000000001001")));
        assert!(!ignores_hang_ups(&status("0000000000001000")));
        assert!(!ignores_hang_ups("Name:\tmarun\n"));
    }
}
