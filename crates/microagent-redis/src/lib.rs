//! The Redis driver of MicroAgent: signals over pub/sub, durable queues in lists.
//!
//! [`RedisOptions`] are the options of a DSN; [`RedisBus`] and [`RedisBroker`] are the drivers. They reconnect until they
//! succeed. They do not decide the outcome of messages and do not call handlers. The types of the client crate are private.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod broker;
mod bus;
mod connection;
mod error;
mod options;

pub use broker::RedisBroker;
pub use bus::RedisBus;
pub use options::RedisOptions;
