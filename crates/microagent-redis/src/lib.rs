//! The Redis driver of MicroAgent: signals over pub/sub, durable queues in lists.
//!
//! [`RedisOptions`] is what a DSN says, [`RedisBus`] and [`RedisBroker`] are the drivers. They heal their connections for
//! ever, decide no outcome and call no handler; the client crate's own types stay inside.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod broker;
mod bus;
mod connection;
mod error;
mod options;

pub use broker::RedisBroker;
pub use bus::RedisBus;
pub use options::RedisOptions;
