//! A queue by its name, for names that are known only at run time.

use serde::Serialize;

use super::{Broker, Sending};
use crate::{Queue, Result};

/// A queue known by its name, on its broker.
#[derive(Clone, Debug)]
pub struct NamedQueue {
    pub(super) broker: Broker,
    pub(super) queue: Queue,
}

impl NamedQueue {
    /// Sends a value, which must become a JSON object; await the returned [`Sending`], which takes options.
    pub fn send<T: Serialize + ?Sized>(&self, value: &T) -> Sending {
        self.broker.send(&self.queue, value)
    }

    /// How many messages wait in it.
    ///
    /// # Errors
    /// As [`Broker::length`].
    pub async fn length(&self) -> Result<u64> {
        self.broker.length(&self.queue).await
    }
}
