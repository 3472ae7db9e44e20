//! Kafka for MicroAgent: a driver that is being built. It contains the progress of a consumer today.
//!
//! Kafka keeps one offset for each partition and group. [`Tracker`] keeps what a queue needs beyond it in the metadata of
//! the commits: which messages are finished out of order, how often each of the others has failed, and which of them were in
//! flight when a consumer died.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod tracker;

pub use tracker::{LARGEST_METADATA, Note, Promise, Tracker};
