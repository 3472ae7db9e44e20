//! The failure contract on Redis: one test for each numbered line of it, with the fault made for real on a real server.
//!
//! `failure_suite!` has the tests that are the same for every driver. These are the tests of Redis: its scripts, its keys and
//! the refusals of the server. Processes that die are this test program itself, in the part of [`worker`].

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod bench;
mod calls;
mod chaos;
mod lost;
mod outages;
mod proxy;
mod queues;
mod records;
mod refused;
mod server;
mod signals;
mod worker;

use microagent_testing::failure_suite;

failure_suite!(service = redis, server::Redis);
