//! The Kafka driver of MicroAgent: durable queues on a log, with order per key.
//!
//! [`KafkaOptions`] reads a DSN, [`KafkaBroker`] is the driver, and [`KafkaRecord`] is the place of a message for handlers.
//! Kafka keeps one offset for each partition and group. [`Tracker`] keeps what a queue needs beyond it in the metadata of
//! the commits: which messages are finished out of order, how often each of the others has failed, and which of them were in
//! flight when a consumer died.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod broker;
mod client;
mod connection;
mod context;
mod error;
mod message;
mod options;
mod tracker;

pub use broker::KafkaBroker;
pub use message::KafkaRecord;
pub use options::KafkaOptions;
pub use tracker::{LARGEST_METADATA, Note, Promise, Tracker};
