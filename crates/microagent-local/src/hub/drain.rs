//! The drain of a hub: before it ends, it hands out nothing more and waits until its clients have settled the
//! messages in flight.
//!
//! The next hub delivers messages in flight again, although nothing is wrong with them. So a hub that ends
//! waits for them first, for a limited time. Everything else continues meanwhile: sends, settlements, signals,
//! new connections.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

/// The maximum time for which a hub waits before it ends.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A drain that is under way.
#[derive(Debug)]
pub(super) struct Drain {
    until: Instant,
    /// `None` after it was answered.
    drained: Option<oneshot::Sender<()>>,
}

impl Drain {
    pub(super) fn begin(drained: oneshot::Sender<()>, in_flight: usize) -> Self {
        if in_flight > 0 {
            info!(
                in_flight,
                "the hub is ending; waiting for the messages that other processes have in flight"
            );
        }
        Self {
            until: Instant::now() + DRAIN_TIMEOUT,
            drained: Some(drained),
        }
    }

    /// Reports that the hub may end, if nothing is in flight or the time is over.
    pub(super) fn look(&mut self, in_flight: usize) {
        let late = self.until <= Instant::now();
        if in_flight > 0 && !late {
            return;
        }
        let Some(drained) = self.drained.take() else {
            return;
        };
        if in_flight > 0 {
            warn!(
                in_flight,
                "some messages were not settled within {} s; they are delivered again",
                DRAIN_TIMEOUT.as_secs()
            );
        }
        // The caller may have stopped waiting, and closes the hub all the same.
        let _ = drained.send(());
    }

    /// Returns when the time is over.
    pub(super) fn wakeup(&self) -> Option<Instant> {
        self.drained.as_ref().map(|_| self.until)
    }
}
