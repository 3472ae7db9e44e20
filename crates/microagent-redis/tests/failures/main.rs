//! The failure contract on Redis: one test for each numbered line of it, with the fault made for real on a real server.
//!
//! What comes out the same on every driver is in `failure_suite!`; here is what is special to Redis: its scripts, its keys and what
//! the server may refuse. Processes that die are this test program once more, in the part of [`worker`].

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
