//! The conformance suite of queue brokers: one documented function for each clause of the contract of
//! [`QueueBroker`](microagent_core::QueueBroker).
//!
//! It does not kill the server; the failure suite does.

#![expect(
    clippy::expect_used,
    reason = "a clause fails by a panic that says what was to come"
)]

mod fixture;
mod macros;
mod server;

pub mod browsing;
pub mod closing;
pub mod consuming;
pub mod crashing;
pub mod leases;
pub mod load;
pub mod options;
pub mod settling;

pub use self::server::BrokerServer;
