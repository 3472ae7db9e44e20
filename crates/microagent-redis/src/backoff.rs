//! How long to wait between attempts, and what is logged about them.

use std::{collections::BTreeSet, fmt, time::Duration};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(3);

/// The most reasons of one outage that are logged.
const REASONS: usize = 5;

/// The waits between attempts that fail.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait: between a third and all of what doubles with each failure, up to three seconds. Two hundred clients of a
    /// server that comes back are spread over two seconds then.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.0.mul_f64((1.0 + 2.0 * fastrand::f64()) / 3.0);
        self.0 = (self.0 * 2).min(LONGEST);
        wait
    }

    /// An attempt went well.
    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

/// A step that fails again and again: growing pauses, and one line in the log per reason.
///
/// It ends when the step itself has succeeded; that a step before it succeeded proves nothing.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    backoff: Backoff,
    logged: BTreeSet<String>,
}

impl Outage {
    /// Returns how long to wait before the next attempt.
    pub(crate) fn pause(&mut self) -> Duration {
        self.backoff.next()
    }

    /// Returns true if this reason was not logged in this outage yet.
    pub(crate) fn is_news(&mut self, reason: &impl fmt::Display) -> bool {
        self.logged.len() < REASONS && self.logged.insert(reason.to_string())
    }

    /// Ends the outage; true if there was one.
    pub(crate) fn end(&mut self) -> bool {
        self.backoff.reset();
        !std::mem::take(&mut self.logged).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[19] >= LONGEST / 3 && waits[19] <= LONGEST);
        assert_ne!(waits[18], waits[19]);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn an_outage_is_logged_once_per_reason_until_it_ends() {
        let mut outage = Outage::default();
        let logged: Vec<_> = ["a", "b", "a", "b"]
            .map(|reason| outage.is_news(&reason))
            .into();
        assert_eq!(logged, [true, true, false, false]);
        assert!((0..100).filter(|n| outage.is_news(n)).count() < REASONS);
        assert!(outage.end() && !outage.end());
        assert!(outage.is_news(&"a"));
    }
}
