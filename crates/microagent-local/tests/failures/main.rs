//! The drivers of `local:` keep the contracts, with the hub in another process and after its death in this one; and the failure
//! contract: one test for each numbered line of it, with the fault made for real on real processes,
//! and the outcomes of a hub's own faults.
//!
//! What comes out the same on every driver is in `failure_suite!`; here are the faults of the hub, its disk and its folder.
//! Processes that die are this test program once more, in a part of [`process`].

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod backlog;
mod bench;
mod calls;
mod flood;
mod hub;
mod permissions;
mod process;
mod queues;
mod replicas;
mod sender;
mod server;
mod signals;
mod storage;
mod subscriber;
mod versions;

microagent_testing::all_suites!(server::Hosted);
