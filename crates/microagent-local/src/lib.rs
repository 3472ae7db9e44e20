//! The embedded default behind `local:PATH`: signals and durable queues between the processes of one machine.
//!
//! One process owns the folder and hosts the hub; the others reach it over a Unix socket in that folder. It decides no
//! outcome and calls no handler, and it is not a distributed system: past one machine, change the DSN.

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
