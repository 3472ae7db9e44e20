//! The delays of retries.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;

use super::values;

/// The delays before each retry.
///
/// ```
/// use std::time::Duration;
/// use microagent_schema::RetryPolicy;
///
/// let policy = RetryPolicy::default();
/// assert_eq!(policy.delay_after(1), Some(Duration::from_secs(1)));
/// assert_eq!(policy.delay_after(3), Some(Duration::from_secs(9)));
/// assert_eq!(policy.delay_after(4), None); // four attempts, then a dead letter
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    delays: Cow<'static, [Duration]>,
}

impl RetryPolicy {
    /// Creates a policy with these delays, one for each retry.
    #[must_use]
    pub fn after(delays: impl Into<Vec<Duration>>) -> Self {
        Self {
            delays: Cow::Owned(delays.into()),
        }
    }

    /// Creates a policy without retries.
    #[must_use]
    pub const fn never() -> Self {
        Self {
            delays: Cow::Borrowed(&[]),
        }
    }

    /// Returns the delays, one after the other.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// Returns how long to wait after this attempt, counted from 1; `None` when it was the last.
    #[must_use]
    pub fn delay_after(&self, attempt: u32) -> Option<Duration> {
        let index = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.delays.get(index).copied()
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        const DELAYS: [Duration; 3] = [
            Duration::from_secs(1),
            Duration::from_secs(4),
            Duration::from_secs(9),
        ];
        Self {
            delays: Cow::Borrowed(&DELAYS),
        }
    }
}

impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_seq(self.delays.iter().map(Duration::as_secs_f64))
    }
}

impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        let Value::Array(delays) = value else {
            let message =
                format!("this is {value}; a list of the delays before each retry is allowed");
            return Err(D::Error::custom(message));
        };
        let delays: Result<Vec<_>, _> = delays.iter().map(values::duration).collect();
        delays.map(Self::after).map_err(D::Error::custom)
    }
}
