//! The errors that mean the same in every driver, and the decisions that depend on their kinds. A driver adds how the errors of
//! its client become kinds.

use crate::{Error, ErrorKind};

/// Returns true if an operation that ended with this error would fail again. It returns false if the server is away or late.
///
/// ```
/// use microagent_core::{Error, ErrorKind, driver::{is_final, unavailable}};
///
/// assert!(!is_final(&unavailable("the connection is lost")));
/// assert!(is_final(&Error::new(ErrorKind::Refused, "no right to read")));
/// ```
#[must_use]
pub fn is_final(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// Returns true for an error that ends the attempts to connect: the server refuses the login, or the options cannot be
/// used. After any other error a driver keeps trying.
#[must_use]
pub fn ends_connecting(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Refused | ErrorKind::Configuration)
}

/// Returns the error of a server that is away, late or lost.
#[must_use]
pub fn unavailable(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, text)
}

/// Returns the error of an operation on a broker that was closed.
#[must_use]
pub fn broker_closed() -> Error {
    Error::new(ErrorKind::Closed, "the broker was closed")
}

/// Returns the error of an operation on a bus that was closed.
#[must_use]
pub fn bus_closed() -> Error {
    Error::new(ErrorKind::Closed, "the bus was closed")
}
