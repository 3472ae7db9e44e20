//! The faults that a simulation injects, and how often. This module injects none itself.

use std::time::Duration;

/// The faults of a simulation. Default: none. Each of them may happen to a real group, and none breaks the promises of
/// the brokers: a queue message is handled at least once, a signal reaches every subscriber.
///
/// ```
/// use std::time::Duration;
/// use microagent_testing::Faults;
///
/// let faults = Faults::none()
///     .crash_every(Duration::from_secs(10))
///     .duplicate(0.05)
///     .delay(0.2, Duration::from_millis(500))
///     .reorder(0.1, Duration::from_millis(500));
/// assert_eq!(faults.duplicate, 0.05);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// The average time between two crashes of any member.
    pub crash_every: Option<Duration>,
    /// The longest time until a crashed member is started again.
    pub restart_within: Duration,
    /// The share of acknowledgements that are lost: their messages are delivered again.
    pub duplicate: f64,
    /// The share of messages and signals that are delayed, together with those that follow them.
    pub delay: f64,
    /// The longest delay.
    pub longest_delay: Duration,
    /// The share of messages and signals that are held back, while those that follow pass them.
    pub reorder: f64,
    /// The longest time for which one is held back.
    pub longest_hold: Duration,
    /// The largest error of the clock of a member, in either direction.
    pub skew: Duration,
}

impl Faults {
    /// Creates a set without faults.
    #[must_use]
    pub fn none() -> Self {
        Self {
            restart_within: Duration::from_secs(1),
            ..Self::default()
        }
    }

    /// Crashes a member at random times, as the death of its process would: its messages in flight are delivered again, its
    /// memory is lost, and it is started again. A message that is in flight at `max_crashes` crashes becomes a dead letter, so
    /// a consumer under this fault needs a high value if no message may become one.
    #[must_use]
    pub fn crash_every(mut self, average: Duration) -> Self {
        self.crash_every = Some(average);
        self
    }

    /// Sets the longest time until a crashed member is started again. Default: 1 s.
    #[must_use]
    pub fn restart_within(mut self, longest: Duration) -> Self {
        self.restart_within = longest;
        self
    }

    /// Loses this share of the acknowledgements.
    ///
    /// # Panics
    /// If the share is not between 0 and 1.
    #[must_use]
    pub fn duplicate(mut self, share: f64) -> Self {
        self.duplicate = checked(share);
        self
    }

    /// Delays this share of messages and signals, in order.
    ///
    /// # Panics
    /// If the share is not between 0 and 1.
    #[must_use]
    pub fn delay(mut self, share: f64, longest: Duration) -> Self {
        (self.delay, self.longest_delay) = (checked(share), longest);
        self
    }

    /// Holds this share of messages and signals back, so that others pass them.
    ///
    /// # Panics
    /// If the share is not between 0 and 1.
    #[must_use]
    pub fn reorder(mut self, share: f64, longest: Duration) -> Self {
        (self.reorder, self.longest_hold) = (checked(share), longest);
        self
    }

    /// Makes the clocks of members wrong by up to this much.
    #[must_use]
    pub fn skew(mut self, most: Duration) -> Self {
        self.skew = most;
        self
    }
}

fn checked(share: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&share),
        "invalid share `{share}`: expected a number from 0 to 1"
    );
    share
}
