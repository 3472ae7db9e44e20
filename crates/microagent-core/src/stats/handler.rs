//! The counters of one handler.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Counter, instant_at, nanos_since,
    places::{Place, Places},
    runs::Runs,
};
use crate::{driver::lock, status::HandlerKind};

/// The handler that is counted.
#[derive(Debug)]
pub(crate) struct HandlerSite {
    pub(crate) name: &'static str,
    pub(crate) kind: HandlerKind,
    /// The name of the signal or queue, or the schedule.
    pub(crate) source: String,
    /// The number of runs that may go on at the same time; `None` without a limit.
    pub(crate) limit: Option<usize>,
}

/// The numbers of signals, messages or fires that came for a handler, and of those that wait for a place.
pub(crate) trait Load: fmt::Debug + Send + Sync {
    /// Returns both numbers.
    fn received_and_waiting(&self) -> (u64, u64);
}

/// The load of a schedule. Its writer holds the lock of the schedule, so it adds without an atomic addition.
#[derive(Debug, Default)]
pub(crate) struct FireLoad {
    received: Counter,
    waiting: Counter,
}

impl FireLoad {
    /// Counts a fire. Only under the lock of the schedule.
    pub(crate) fn count_received(&self) {
        self.received.set(self.received.get() + 1);
    }

    /// Notes how many fires wait. Only under the lock of the schedule.
    pub(crate) fn note_waiting(&self, waiting: usize) {
        self.waiting.set(waiting.try_into().unwrap_or(u64::MAX));
    }
}

impl Load for FireLoad {
    fn received_and_waiting(&self) -> (u64, u64) {
        (self.received.get(), self.waiting.get())
    }
}

/// The counters of one handler and source.
#[derive(Debug)]
pub(crate) struct HandlerStats {
    pub(crate) site: HandlerSite,
    origin: Instant,
    pub(crate) load: Arc<dyn Load>,
    pub(crate) failed: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) panicked: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) dropped: Counter,
    pub(crate) retried: Counter,
    pub(crate) dead_lettered: Counter,
    pub(crate) returned: Counter,
    pub(crate) redelivered: Counter,
    runs: Runs,
    places: Places,
    /// Written only at a failure, which is logged anyway.
    last_error: Mutex<Option<(Instant, String)>>,
}

impl HandlerStats {
    pub(super) fn new(site: HandlerSite, load: Arc<dyn Load>, origin: Instant) -> Self {
        Self {
            site,
            origin,
            load,
            failed: Counter::default(),
            timed_out: Counter::default(),
            panicked: Counter::default(),
            undecodable: Counter::default(),
            dropped: Counter::default(),
            retried: Counter::default(),
            dead_lettered: Counter::default(),
            returned: Counter::default(),
            redelivered: Counter::default(),
            runs: Runs::default(),
            places: Places::default(),
            last_error: Mutex::default(),
        }
    }

    /// Returns a place in which runs are noted, one after the other, until it is dropped.
    pub(crate) fn place(&self) -> Place<'_> {
        self.places.enter(self.origin)
    }

    /// Counts a run without a failure.
    pub(crate) fn succeeded(&self, began: Instant, ended: Instant) {
        let took = ended.saturating_duration_since(began);
        self.runs.succeeded(took, nanos_since(self.origin, ended));
    }

    /// Adds the duration of a run with a failure.
    pub(crate) fn took(&self, took: Duration) {
        self.runs.took(took);
    }

    /// Returns the number of runs without a failure.
    pub(crate) fn done(&self) -> u64 {
        self.runs.done()
    }

    /// Returns the number of runs by duration, in the buckets of [`DURATION_BOUNDS`](super::DURATION_BOUNDS), and the sum of their
    /// durations.
    pub(crate) fn durations(&self) -> (Vec<u64>, Duration) {
        self.runs.durations()
    }

    /// Notes the text of a failure.
    pub(crate) fn note_error(&self, text: String) {
        *lock(&self.last_error) = Some((Instant::now(), text));
    }

    pub(crate) fn last_success(&self) -> Option<Instant> {
        instant_at(self.origin, self.runs.last_success())
    }

    pub(crate) fn last_error(&self) -> Option<(Instant, String)> {
        lock(&self.last_error).clone()
    }

    /// Returns the begins of the runs that go on, the oldest first.
    pub(crate) fn running(&self) -> Vec<Instant> {
        self.places.running(self.origin)
    }
}
