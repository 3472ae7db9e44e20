//! The RabbitMQ driver of MicroAgent: durable queues over AMQP 0.9.1, shared with Python.
//!
//! [`AmqpOptions`] reads a DSN, [`AmqpBroker`] is the driver, and [`AmqpProperties`] are the properties of a message for
//! handlers. The driver reconnects until it succeeds, chooses no settlement and calls no handler; the types of the
//! client library stay inside.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod broker;
mod connection;
mod error;
mod message;
mod options;
mod properties;
#[cfg(feature = "tls")]
mod tls;

pub use broker::AmqpBroker;
pub use message::AmqpProperties;
pub use options::AmqpOptions;
