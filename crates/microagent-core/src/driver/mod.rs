//! What every driver with a server needs, written once: the parts of a DSN, the pauses
//! between attempts, the record of a connection's state, and the rule that a suspect runs alone.
//!
//! It knows no protocol. The traits that a driver implements are [`SignalBus`](crate::SignalBus)
//! and [`QueueBroker`](crate::QueueBroker).

mod backoff;
mod connection;
mod lock;
mod outage;
mod suspect_gate;

pub use microagent_schema::{Dsn, DsnError, Host, redacted};

pub use self::{
    backoff::Backoff,
    connection::{ConnectionRecord, ConnectionState},
    lock::lock,
    outage::Outage,
    suspect_gate::{Cleared, SuspectGate, Taking},
};
use crate::{Error, ErrorKind};

/// Returns the [`Configuration`](ErrorKind::Configuration) error of a DSN that a driver does not accept.
///
/// ```
/// use microagent_core::driver::{Dsn, dsn_error};
///
/// let error = Dsn::parse("redis://localhost:port").unwrap_err();
/// assert!(dsn_error("Redis", &error).to_string().starts_with("invalid Redis DSN: invalid host"));
/// ```
#[must_use]
pub fn dsn_error(driver: &str, error: &DsnError) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("invalid {driver} DSN: {error}"),
    )
}
