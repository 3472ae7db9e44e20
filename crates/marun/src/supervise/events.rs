//! Everything that can happen to a supervisor, one after the other. It decides nothing.

use std::{io, time::Instant};

use tokio::{
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep_until,
};

use super::{group::StopSignal, member::Heard};

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
    pub(super) hear: UnboundedSender<(usize, Heard)>,
    heard: UnboundedReceiver<(usize, Heard)>,
}

impl Events {
    /// Must come before the first child, whose end would go unheard otherwise.
    pub(super) fn listen() -> io::Result<Self> {
        let (hear, heard) = unbounded_channel();
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hear,
            heard,
        })
    }

    pub(super) async fn next(&mut self, deadline: Option<Instant>) -> Event {
        let deadline_passed = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order: what a member reported before it ended is heard before its end.
            biased;
            _ = self.interrupt.recv() => Event::StopAsked(StopSignal::Interrupt),
            _ = self.terminate.recv() => Event::StopAsked(StopSignal::Terminate),
            Some((index, heard)) = self.heard.recv() => Event::Heard(index, heard),
            _ = self.child.recv() => Event::ChildEnded,
            () = deadline_passed => Event::DeadlinePassed,
        }
    }
}
