//! The host of a folder: the process that holds the folder's lock.
//!
//! This module opens the files, starts the hub on a thread of its own, and releases everything in the right
//! order. It does not speak the protocol and keeps no messages.

mod acceptor;
mod election;
mod folder;
mod handle;
mod hub_thread;
mod socket;
mod watch;

pub(crate) use election::{HostElection, process};
pub(crate) use folder::Folder;
pub use handle::Host;
