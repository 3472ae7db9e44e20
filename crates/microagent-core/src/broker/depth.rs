//! The number of messages in a queue, by state.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::status::seconds_option;

/// The number of messages in a queue, by state. A number is absent if the server does not know it;
/// [`Caps`](crate::Caps) says which ones a driver always gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Depth {
    /// Messages that a consumer can get now, as [`QueueBroker::length`](crate::QueueBroker::length) counts them.
    pub waiting: Option<u64>,
    /// Messages that are delivered and not settled, over all processes.
    pub in_flight: Option<u64>,
    /// Messages that wait for a retry or were sent with a delay.
    pub delayed: Option<u64>,
    /// Time that the oldest waiting message has been in the queue; as JSON, in seconds.
    #[serde(with = "seconds_option", default)]
    pub oldest_age: Option<Duration>,
}

impl Depth {
    /// Creates a depth of which only the waiting messages are known.
    #[must_use]
    pub fn of_waiting(waiting: u64) -> Self {
        Self {
            waiting: Some(waiting),
            ..Self::default()
        }
    }
}
