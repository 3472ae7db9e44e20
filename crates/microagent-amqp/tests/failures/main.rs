//! The failure contract on RabbitMQ: one test for each numbered line of it, with the fault made for real on a real server.
//!
//! `queue_failure_suite!` has the tests that are the same for every driver. These are the tests of RabbitMQ: its alarms, its
//! permissions, its time limits and its restarts. Processes that die are this test program itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod deaths;
mod load;
mod outages;
mod refused;
mod retries;
mod server;
mod stops;
#[path = "../support/mod.rs"]
mod support;

use microagent_testing::queue_failure_suite;

queue_failure_suite!(service = rabbitmq, server::RabbitMq);
