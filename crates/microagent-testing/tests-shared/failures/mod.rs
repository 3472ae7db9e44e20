//! What the failure tests of all drivers share: agents, jobs, waiting, and the lines of the contract that come out the same
//! on every driver.
//!
//! A driver's tests take it in by its path, and make the faults for real on their own server.

pub(crate) mod agents;
pub(crate) mod calls;
pub(crate) mod jobs;
pub(crate) mod signals;
mod wait;

pub(crate) use wait::{error_of, kind_of, until, within};

/// How long anything may take that takes milliseconds when the machine has nothing else to do.
pub(crate) const SOON: std::time::Duration = std::time::Duration::from_secs(15);
