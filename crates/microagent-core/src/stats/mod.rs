//! The counters of an agent: what became of the runs of its handlers, and when its schedules fire.
//!
//! The hot path only adds to fixed atomics: a message takes no lock and allocates nothing here. [`status`](crate::status)
//! reads them, on any thread.

mod handler;
mod histogram;
mod places;
mod requests;
mod runs;
mod schedule;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

pub(crate) use self::{
    handler::{FireLoad, HandlerSite, HandlerStats, Load},
    histogram::{DURATION_BOUNDS, DurationCounts},
    places::Place,
    requests::RequestCounts,
    schedule::{FireTime, LeftOut, ScheduleStats},
};
use crate::{Gap, driver::lock};

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// Returns the number, and starts again at 0.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the number. Only for a writer that is alone, because it holds a lock.
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The counters of one agent.
#[derive(Debug)]
pub(crate) struct AgentStats {
    /// The time from which the instants in the counters are measured.
    origin: Instant,
    handlers: Mutex<Vec<Arc<HandlerStats>>>,
    schedules: Mutex<Vec<Arc<ScheduleStats>>>,
    gaps: Mutex<Gaps>,
}

/// The times in which the bus of an agent was disconnected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gaps {
    pub(crate) count: u64,
    pub(crate) total: Duration,
    /// The end of the last one.
    pub(crate) last: Option<Instant>,
}

impl AgentStats {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            handlers: Mutex::default(),
            schedules: Mutex::default(),
            gaps: Mutex::default(),
        }
    }

    /// Adds a handler, whose runs the returned counters count.
    pub(crate) fn handler(&self, site: HandlerSite, load: Arc<dyn Load>) -> Arc<HandlerStats> {
        let stats = Arc::new(HandlerStats::new(site, load, self.origin));
        lock(&self.handlers).push(Arc::clone(&stats));
        stats
    }

    /// Adds a schedule.
    pub(crate) fn schedule(&self, schedule: ScheduleStats) -> Arc<ScheduleStats> {
        let schedule = Arc::new(schedule);
        lock(&self.schedules).push(Arc::clone(&schedule));
        schedule
    }

    pub(crate) fn gap(&self, gap: &Gap) {
        let mut gaps = lock(&self.gaps);
        gaps.count += 1;
        gaps.total = gaps.total.saturating_add(gap.lasted);
        gaps.last = Some(Instant::now());
    }

    pub(crate) fn gaps(&self) -> Gaps {
        *lock(&self.gaps)
    }

    /// Returns the handlers in the order in which they were added.
    pub(crate) fn handlers(&self) -> Vec<Arc<HandlerStats>> {
        lock(&self.handlers).clone()
    }

    pub(crate) fn schedules(&self) -> Vec<Arc<ScheduleStats>> {
        lock(&self.schedules).clone()
    }
}

/// Returns the nanoseconds from `origin` to `then`, plus 1, because 0 stands for no instant. It has room for centuries.
pub(crate) fn nanos_since(origin: Instant, then: Instant) -> u64 {
    nanos(then.saturating_duration_since(origin)).saturating_add(1)
}

/// Returns the instant that [`nanos_since`] has made a number of; `None` for 0.
fn instant_at(origin: Instant, nanos: u64) -> Option<Instant> {
    nanos
        .checked_sub(1)
        .map(|nanos| crate::clock::later(origin, Duration::from_nanos(nanos)))
}

/// Returns a duration in nanoseconds, without the 128 bits of [`Duration::as_nanos`].
fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos()))
}
