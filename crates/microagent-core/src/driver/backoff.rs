//! The pauses between attempts that fail: longer each time, and different for each client.

use std::time::Duration;

/// The pauses between attempts at one thing, such as connecting to a server.
///
/// The limit of a pause doubles with each failure up to the longest one; each pause is a random part
/// of its limit, between a third and all of it. The clients of a server that was away therefore
/// come back spread over two thirds of the longest pause.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::driver::Backoff;
///
/// let (first, longest) = (Duration::from_millis(50), Duration::from_secs(3));
/// let mut backoff = Backoff::new(first, longest);
/// assert!(backoff.next_pause() <= first);
/// for _ in 0..20 {
///     assert!(backoff.next_pause() <= longest);
/// }
/// backoff.reset();
/// assert!(backoff.next_pause() <= first);
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    limit: Duration,
}

impl Backoff {
    /// Creates pauses of at most `first` after the first failure, and at most `longest` after many.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            limit: first,
        }
    }

    /// Returns the pause after a failure.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.limit.mul_f64((1.0 + 2.0 * fastrand::f64()) / 3.0);
        self.limit = self.limit.saturating_mul(2).min(self.longest);
        pause
    }

    /// Begins again with the first pause. Call it when progress was made (an answer that a later
    /// step depends on), not when a connection was merely opened: a server that accepts connections
    /// and then refuses each command would be asked without a pause.
    pub const fn reset(&mut self) {
        self.limit = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(3);

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let pauses: Vec<_> = (0..20).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 3);
        assert!(pauses[19] >= LONGEST / 3 && pauses[19] <= LONGEST);
        assert_ne!(pauses[18], pauses[19]);
        backoff.reset();
        assert!(backoff.next_pause() <= FIRST);
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(u64::MAX / 2), Duration::MAX);
        for _ in 0..5 {
            assert!(backoff.next_pause() <= Duration::MAX);
        }
    }
}
