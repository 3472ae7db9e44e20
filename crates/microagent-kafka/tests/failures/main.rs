//! The failure contract on Kafka: one test for each numbered line of it, with the fault made for real on a real server.
//!
//! `queue_failure_suite!` has the tests that are the same for every driver. These are the tests of Kafka: its groups and their
//! rebalances, its commits, and its restarts. Processes that die are this test program itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agents;
mod bench;
mod deaths;
mod load;
mod members;
mod outages;
mod progress;
mod refused;
mod rights;
mod server;
#[path = "../support/mod.rs"]
mod support;

use microagent_testing::queue_failure_suite;

queue_failure_suite!(service = kafka, server::Kafka);
