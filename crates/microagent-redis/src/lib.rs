//! The Redis driver of MicroAgent: signals over pub/sub, durable queues in lists.
//!
//! [`RedisOptions`] is what a DSN says, [`Connector`](connection::Connector) keeps the connections alive. It decides no
//! outcome and calls no handler; the client crate's own types stay inside.

mod backoff;
mod broker;
mod connection;
mod error;
mod options;

pub use broker::RedisBroker;
pub use options::RedisOptions;
