//! How long to wait between attempts: longer each time, never the same for two clients.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(3);

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
}
