//! The failure contract on Redis: one test for each numbered line of it, with the fault made for real on a real server.
//!
//! What needs a process that dies is done by [`worker`], which is this test program once more.

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
#[path = "../../../microagent-testing/tests-shared/failures/mod.rs"]
mod shared;
mod signals;
mod worker;

use shared::agents;
