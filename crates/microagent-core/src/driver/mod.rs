//! Helpers for drivers with a server: the parts of a DSN, the pauses between attempts, the loop that
//! reconnects, the record of a connection's state, the channel of a consumer with the limit of its
//! messages in flight, the rule that a suspect runs alone, and the errors that all drivers have.
//!
//! They know no protocol. The traits that a driver implements are [`SignalBus`](crate::SignalBus)
//! and [`QueueBroker`](crate::QueueBroker).

mod backoff;
mod connection;
mod errors;
mod hash;
mod lock;
mod outage;
mod prefetch;
mod reconnect;
mod suspect_gate;

pub use microagent_schema::{Dsn, DsnError, Host, redacted};

pub use self::{
    backoff::Backoff,
    connection::{ConnectionRecord, ConnectionState},
    errors::{broker_closed, bus_closed, ends_connecting, is_final, unavailable},
    hash::stable_hash,
    lock::lock,
    outage::Outage,
    prefetch::{DeliverySender, DeliveryStream, Prefetch, Slot, delivery_channel},
    reconnect::{Failure, PROVEN, Reconnect, keep_connected},
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
