//! The record of a step that fails repeatedly: growing pauses, and one log line per reason.

use std::{collections::BTreeSet, fmt::Display, time::Duration};

use super::{Backoff, PROVEN};

/// The most reasons of one outage that are logged.
const REASONS: usize = 5;

/// A step that fails again and again, such as connecting to a server or taking messages from it.
///
/// An outage ends when the step itself succeeded. A step before it that succeeds proves nothing: a
/// server may accept connections and then refuse each command.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::driver::Outage;
///
/// let mut outage = Outage::new(Duration::from_millis(50), Duration::from_secs(3));
/// assert!(outage.is_news(&"connection refused"), "the first time it is logged");
/// assert!(!outage.is_news(&"connection refused"));
/// assert!(outage.pause() <= Duration::from_millis(50));
/// assert!(outage.end(), "there was an outage");
/// assert!(!outage.end());
/// ```
#[derive(Debug)]
pub struct Outage {
    backoff: Backoff,
    logged: BTreeSet<String>,
}

/// Pauses of at most 50 ms after the first failure, and at most 3 s after many: the clients of a server
/// that comes back are spread over two seconds.
impl Default for Outage {
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(3))
    }
}

impl Outage {
    /// Creates an outage that has not begun, with pauses as of [`Backoff::new`].
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            backoff: Backoff::new(first, longest),
            logged: BTreeSet::new(),
        }
    }

    /// Returns the pause before the next attempt.
    pub fn pause(&mut self) -> Duration {
        self.backoff.next_pause()
    }

    /// Returns true if this reason is to be logged: it is new in this outage, and one of the first
    /// five.
    pub fn is_news(&mut self, reason: &impl Display) -> bool {
        self.logged.len() < REASONS && self.logged.insert(reason.to_string())
    }

    /// Returns true if a reason was logged since the last outage ended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.logged.is_empty()
    }

    /// Registers that a connection was lost after this time. It ends the outage if the connection lasted
    /// for [`PROVEN`].
    pub fn lost_after(&mut self, lasted: Duration) {
        if lasted >= PROVEN {
            self.end();
        }
    }

    /// Ends the outage. Returns true if there was one.
    pub fn end(&mut self) -> bool {
        self.backoff.reset();
        !std::mem::take(&mut self.logged).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_once_per_reason_until_it_ends() {
        let mut outage = Outage::new(Duration::from_millis(1), Duration::from_secs(1));
        let logged: Vec<_> = ["a", "b", "a", "b"]
            .map(|reason| outage.is_news(&reason))
            .into();
        assert_eq!(logged, [true, true, false, false]);
        assert!((0..100).filter(|n| outage.is_news(n)).count() < REASONS);
        assert!(outage.end() && !outage.end());
        assert!(outage.is_news(&"a"));
    }
}
