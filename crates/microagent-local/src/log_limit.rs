//! A limit on the log lines of one kind of event that a peer can cause as often as it wants.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use microagent_core::driver::lock;

/// The number of lines that are admitted in one [`PERIOD`].
const BURST: u64 = 10;

const PERIOD: Duration = Duration::from_secs(10);

/// Counts the lines of one kind of event.
#[derive(Debug)]
pub(crate) struct LogLimit(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    period: Option<Instant>,
    lines: u64,
    omitted: u64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Counts {
            period: None,
            lines: 0,
            omitted: 0,
        }))
    }

    /// Returns how many lines were omitted before this one, or `None` if this line must be omitted too.
    pub(crate) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut counts = lock(&self.0);
        let over = |began: Instant| now.duration_since(began) >= PERIOD;
        if counts.period.is_none_or(over) {
            counts.period = Some(now);
            counts.lines = 0;
        }
        counts.lines += 1;
        if counts.lines > BURST {
            counts.omitted += 1;
            return None;
        }
        Some(std::mem::take(&mut counts.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_few_lines_and_their_number() {
        let (limit, begun) = (LogLimit::new(), Instant::now());
        let admitted = |at| (0..1000).filter(|_| limit.admit_at(at).is_some()).count() as u64;
        assert_eq!(admitted(begun), BURST);
        assert_eq!(limit.admit_at(begun + PERIOD / 2), None);
        let omitted = 1000 - BURST + 1;
        assert_eq!(limit.admit_at(begun + PERIOD), Some(omitted));
        assert_eq!(limit.admit_at(begun + PERIOD), Some(0));
    }
}
