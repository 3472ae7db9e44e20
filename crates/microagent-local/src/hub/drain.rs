//! How a hub ends in peace: nobody is given anything more, and those who have something may finish it.
//!
//! What a consumer holds when its hub goes is delivered again by the next one, although nothing is wrong with it. So whoever
//! ends a hub waits for them first, within a bound. All else goes on meanwhile: sends, settlements, signals, new connections.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

/// How long a hub that is to end waits for what is being handled.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A hub that is to end, and who waits until it may.
#[derive(Debug)]
pub(super) struct Drain {
    until: Instant,
    /// None once it was told.
    drained: Option<oneshot::Sender<()>>,
}

impl Drain {
    pub(super) fn begin(drained: oneshot::Sender<()>, in_flight: usize) -> Self {
        if in_flight > 0 {
            info!(
                in_flight,
                "the hub is to end, and waits for what other processes handle"
            );
        }
        Self {
            until: Instant::now() + DRAIN_TIMEOUT,
            drained: Some(drained),
        }
    }

    /// Tells that the hub may end, when nothing is in flight or it has waited long enough.
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
                "not everything was handled within {} s; the rest is delivered again",
                DRAIN_TIMEOUT.as_secs()
            );
        }
        // Whoever asked may have gone, and closes all the same.
        let _ = drained.send(());
    }

    /// When it has waited long enough.
    pub(super) fn wakeup(&self) -> Option<Instant> {
        self.drained.as_ref().map(|_| self.until)
    }
}
