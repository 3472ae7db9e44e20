//! The conformance suite of signal buses: one documented function for each clause of the contract of
//! [`SignalBus`](microagent_core::SignalBus).
//!
//! It does not kill the server; the failure suite does.

#![expect(
    clippy::expect_used,
    reason = "a clause fails by a panic that says what was to come"
)]

mod macros;
mod server;

pub mod closing;
pub mod leases;
pub mod listening;
pub mod payload;
pub mod rpc;

pub use self::server::BusServer;
