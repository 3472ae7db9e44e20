//! The drivers of `local:` keep the contracts, with the hub in another process and after its death in this one; and the failure
//! contract: one test for each numbered line of it, with the fault made for real on real processes,
//! and the outcomes of a hub's own faults.
//!
//! The outcomes that are the same for every driver are in `failure_suite!`; this crate tests the faults of the
//! hub, its disk and its folder. The processes that die are copies of this test program, in a role of
//! [`process`].

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
