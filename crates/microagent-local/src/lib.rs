//! The embedded default behind `local:PATH`: signals and durable queues between the processes of one machine.
//!
//! One process hosts the hub of a folder. The other processes reach it over a Unix socket in the folder. The
//! driver chooses no outcomes and calls no handlers, and it is not a distributed system: for more than one
//! machine, use another driver by changing the DSN.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod broker;
mod bus;
mod clocks;
mod connection;
mod error;
mod host;
mod hub;
mod log_limit;
mod options;
mod protocol;
mod store;

pub use broker::LocalBroker;
pub use bus::LocalBus;
pub use host::Host;
pub use options::LocalOptions;
