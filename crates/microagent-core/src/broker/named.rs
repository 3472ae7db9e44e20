//! A queue addressed by its name, for names that are known only at run time.

use serde::Serialize;

use super::{Broker, Sending};
use crate::{Queue, Result};

/// A queue and its broker, looked up by the queue's name.
#[derive(Clone, Debug)]
pub struct NamedQueue {
    pub(super) broker: Broker,
    pub(super) queue: Queue,
}

impl NamedQueue {
    /// Sends a value, which must serialize to a JSON object. Await the returned [`Sending`], which takes options.
    pub fn send<T: Serialize + ?Sized>(&self, value: &T) -> Sending {
        self.broker.send(&self.queue, value)
    }

    /// Returns how many messages wait in the queue.
    ///
    /// # Errors
    /// Those of [`Broker::length`].
    pub async fn length(&self) -> Result<u64> {
        self.broker.length(&self.queue).await
    }
}
