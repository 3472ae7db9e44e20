//! The failure contract on `local:`: one test for each numbered line of it, with the fault made for real on real processes,
//! and the outcomes of a hub's own faults.
//!
//! What needs a process that dies is done by [`process`], which is this test program once more.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backlog;
mod bench;
mod calls;
mod flood;
mod hearer;
mod hub;
mod journal;
mod permissions;
mod process;
mod queues;
mod replicas;
mod sender;
#[path = "../../../microagent-testing/tests-shared/failures/mod.rs"]
mod shared;
mod signals;
mod storage;
mod versions;
mod worker;

use shared::agents;
