//! Waiting with a deadline, and errors that were to come.

use std::time::{Duration, Instant};

use microagent_core::{Error, ErrorKind, Result};

/// Asks again and again until it is so.
///
/// # Panics
/// When it is not so in time.
pub async fn until(what: &str, at_most: Duration, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < at_most, "waited {at_most:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for the value of a future.
///
/// # Panics
/// When it does not come in time.
pub async fn within<T>(at_most: Duration, what: &str, event: impl Future<Output = T>) -> T {
    let event = tokio::time::timeout(at_most, event).await;
    event.unwrap_or_else(|_| panic!("{what}: not within {at_most:?}"))
}

/// Returns the error of a result.
///
/// # Panics
/// When there is none.
pub fn error_of<T>(result: Result<T>) -> Error {
    result.map(drop).unwrap_err()
}

/// Returns the kind of the error of a result.
///
/// # Panics
/// When there is none.
pub fn kind_of<T>(result: Result<T>) -> ErrorKind {
    error_of(result).kind()
}
