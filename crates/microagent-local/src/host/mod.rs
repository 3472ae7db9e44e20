//! Who hosts the hub of a folder: whoever gets its lock.
//!
//! It speaks no protocol and keeps no messages; it opens the files, starts the hub on a thread of its own, and lets go of
//! everything in the right order.

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
