//! What a simulation may do to a group, and how often. It does nothing itself.

use std::time::Duration;

/// The faults of a simulation; none unless they are asked for. Each of them may happen to a real group, and none takes away what
/// the brokers promise: a queue message is handled at least once, a signal reaches who listens.
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
    /// How much time passes between two crashes of some member, on average.
    pub crash_every: Option<Duration>,
    /// How long a crashed member is down at most.
    pub restart_within: Duration,
    /// The share of acknowledgements that get lost: their messages are delivered again.
    pub duplicate: f64,
    /// The share of messages and signals that are late, and keep what follows them waiting.
    pub delay: f64,
    /// How late they are at most.
    pub longest_delay: Duration,
    /// The share of messages and signals that are passed by those which follow them.
    pub reorder: f64,
    /// How long they are held back at most.
    pub longest_hold: Duration,
    /// By how much the clock of a member may be wrong, in either direction.
    pub skew: Duration,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self {
            restart_within: Duration::from_secs(1),
            ..Self::default()
        }
    }

    /// Kills a member now and then, as a crash of its process would: what it had in flight is delivered again, what it
    /// held in memory is gone. It is started again. As ever, a message that is in flight at too many crashes is parked: a
    /// consumer under this fault needs a high `max_crashes` where it is to lose none.
    #[must_use]
    pub fn crash_every(mut self, average: Duration) -> Self {
        self.crash_every = Some(average);
        self
    }

    /// Sets [`restart_within`](Self::restart_within) [1 s].
    #[must_use]
    pub fn restart_within(mut self, longest: Duration) -> Self {
        self.restart_within = longest;
        self
    }

    /// Loses this share of the acknowledgements.
    ///
    /// # Panics
    /// When it is no share: not from 0 to 1.
    #[must_use]
    pub fn duplicate(mut self, share: f64) -> Self {
        self.duplicate = checked(share);
        self
    }

    /// Delays this share of messages and signals, in order.
    ///
    /// # Panics
    /// When it is no share: not from 0 to 1.
    #[must_use]
    pub fn delay(mut self, share: f64, longest: Duration) -> Self {
        (self.delay, self.longest_delay) = (checked(share), longest);
        self
    }

    /// Lets others pass this share of messages and signals.
    ///
    /// # Panics
    /// When it is no share: not from 0 to 1.
    #[must_use]
    pub fn reorder(mut self, share: f64, longest: Duration) -> Self {
        (self.reorder, self.longest_hold) = (checked(share), longest);
        self
    }

    /// Lets the clocks of members be wrong by up to this much.
    #[must_use]
    pub fn skew(mut self, most: Duration) -> Self {
        self.skew = most;
        self
    }
}

fn checked(share: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&share),
        "{share} is no share of a whole: from 0 to 1 is allowed"
    );
    share
}
