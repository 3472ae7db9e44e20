//! The state of one run that all parts of a simulation share: random numbers, clock and record.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use microagent_core::{Clock, driver::lock};
use tokio::time::Instant;

use super::Faults;
use crate::VirtualClock;

/// One run of a simulation.
pub(super) struct SimulatedRun {
    pub(super) seed: u64,
    pub(super) clock: VirtualClock,
    faults: Faults,
    faults_ended: AtomicBool,
    random: Mutex<Rng>,
    began: Instant,
    record: Mutex<Vec<String>>,
}

impl SimulatedRun {
    pub(super) fn new(seed: u64, faults: Faults, now: SystemTime) -> Self {
        Self {
            seed,
            clock: VirtualClock::new(now),
            faults,
            faults_ended: AtomicBool::new(false),
            random: Mutex::new(Rng::with_seed(seed)),
            began: Instant::now(),
            record: Mutex::default(),
        }
    }

    /// Returns the faults that are injected now.
    pub(super) fn faults(&self) -> Option<&Faults> {
        (!self.faults_ended.load(Ordering::Relaxed)).then_some(&self.faults)
    }

    pub(super) fn end_faults(&self) {
        self.faults_ended.store(true, Ordering::Relaxed);
        self.note("faults end");
    }

    /// Decides whether a fault with this share happens.
    pub(super) fn happens(&self, share: impl Fn(&Faults) -> f64) -> bool {
        let share = self.faults().map_or(0.0, share);
        share > 0.0 && self.random().f64() < share
    }

    /// Returns a random time up to this one.
    pub(super) fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.random().f64())
    }

    /// Returns a random index below `count`.
    pub(super) fn one_of(&self, count: usize) -> usize {
        self.random().usize(..count)
    }

    /// Returns the clock of a member, which may be wrong.
    pub(super) fn skewed_clock(&self) -> SkewedClock {
        let most = self.faults().map_or(Duration::ZERO, |faults| faults.skew);
        SkewedClock {
            clock: self.clock,
            by: self.up_to(most),
            ahead: self.random().bool(),
        }
    }

    /// Adds a line to the record.
    pub(super) fn note(&self, what: impl fmt::Display) {
        let at = self.began.elapsed().as_secs_f64();
        let mut record = lock(&self.record);
        record.push(format!("{at:.3} {what}"));
    }

    pub(super) fn record(&self) -> Vec<String> {
        let record = lock(&self.record);
        record.clone()
    }

    fn random(&self) -> MutexGuard<'_, Rng> {
        lock(&self.random)
    }
}

impl fmt::Debug for SimulatedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedRun")
            .field("seed", &self.seed)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// A clock that runs at the right speed and shows a wrong time.
#[derive(Clone, Debug)]
pub(super) struct SkewedClock {
    clock: VirtualClock,
    by: Duration,
    ahead: bool,
}

impl Clock for SkewedClock {
    fn now(&self) -> SystemTime {
        if self.ahead {
            self.clock.now() + self.by
        } else {
            self.clock.now() - self.by
        }
    }
}

/// A run that is shared with tasks, which may outlive the test.
pub(super) type SharedRun = Arc<SimulatedRun>;
