//! The counters of requests to a server: sends and calls.

use std::time::Duration;

use tokio::time::Instant;

use super::{Counter, DurationCounts};
use crate::{ErrorKind, Result};

/// The requests of one kind of a handle, by outcome.
#[derive(Debug, Default)]
pub(crate) struct RequestCounts {
    pub(crate) done: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) failed: Counter,
    pub(crate) durations: DurationCounts,
}

impl RequestCounts {
    /// Waits for the end of a request, and counts it.
    pub(crate) async fn counted<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        let result = request.await;
        self.add(&result, began.elapsed());
        result
    }

    fn add<T>(&self, result: &Result<T>, took: Duration) {
        let counter = match result {
            Ok(_) => &self.done,
            Err(error) if error.kind() == ErrorKind::Timeout => &self.timed_out,
            Err(_) => &self.failed,
        };
        counter.count();
        self.durations.add(took);
    }
}
