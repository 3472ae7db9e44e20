//! Waiting with a deadline, and errors that were to come.

use std::time::{Duration, Instant};

use microagent_core::{Error, ErrorKind, Result};

/// Asks until it is so.
pub(crate) async fn until(what: &str, at_most: Duration, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < at_most, "waited {at_most:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends with the value of a future that must be there in time.
pub(crate) async fn within<T>(at_most: Duration, what: &str, event: impl Future<Output = T>) -> T {
    let event = tokio::time::timeout(at_most, event).await;
    event.unwrap_or_else(|_| panic!("{what}: not within {at_most:?}"))
}

pub(crate) fn error_of<T>(result: Result<T>) -> Error {
    result.map(drop).unwrap_err()
}

pub(crate) fn kind_of<T>(result: Result<T>) -> ErrorKind {
    error_of(result).kind()
}
