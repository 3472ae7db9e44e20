//! The fires of one schedule.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::Counter;
use crate::driver::lock;

/// The time of a fire: a point of a grid, or an instant of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FireTime {
    On(Instant),
    At(SystemTime),
}

/// When a schedule fires, and when it has fired.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    /// The fire that it waits for.
    pub(crate) next: Option<FireTime>,
    /// The last fire.
    pub(crate) last: Option<FireTime>,
    /// The time by which the last fire was late.
    pub(crate) delay: Duration,
}

/// The counters of one schedule. They have a lock, because a fire is not a message.
#[derive(Debug)]
pub(crate) struct ScheduleStats {
    pub(crate) handler: &'static str,
    /// The schedule as it was written, or the period.
    pub(crate) schedule: String,
    /// The time zone of a cron task.
    pub(crate) zone: Option<String>,
    timing: Mutex<Timing>,
    overlapping: Counter,
    late: Counter,
    without_lease: Counter,
    of_other_replicas: Counter,
}

/// The reason why a fire had no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// The last run was still going.
    Overlapping,
    /// Its lease would have ended before.
    Late,
    /// No server could give its lease.
    WithoutLease,
    /// Another replica has its lease.
    OfOtherReplica,
}

impl ScheduleStats {
    pub(crate) fn new(handler: &'static str, schedule: String, zone: Option<String>) -> Self {
        Self {
            handler,
            schedule,
            zone,
            timing: Mutex::default(),
            overlapping: Counter::default(),
            late: Counter::default(),
            without_lease: Counter::default(),
            of_other_replicas: Counter::default(),
        }
    }

    /// Notes the fire that the schedule waits for.
    pub(crate) fn waits_for(&self, next: Option<FireTime>) {
        lock(&self.timing).next = next;
    }

    /// Notes a fire, late by `delay`.
    pub(crate) fn fired(&self, last: FireTime, delay: Duration) {
        let mut timing = lock(&self.timing);
        timing.last = Some(last);
        timing.delay = delay;
    }

    /// Counts a fire that had no run.
    pub(crate) fn left_out(&self, reason: LeftOut) {
        self.counter(reason).count();
    }

    pub(crate) fn count_of(&self, reason: LeftOut) -> u64 {
        self.counter(reason).get()
    }

    pub(crate) fn timing(&self) -> Timing {
        *lock(&self.timing)
    }

    fn counter(&self, reason: LeftOut) -> &Counter {
        match reason {
            LeftOut::Overlapping => &self.overlapping,
            LeftOut::Late => &self.late,
            LeftOut::WithoutLease => &self.without_lease,
            LeftOut::OfOtherReplica => &self.of_other_replicas,
        }
    }
}
