//! A lease: what a driver offers so that of several replicas one does something.
//!
//! It says who holds a key, and until when. What is done under it, and what happens where it cannot be had, is the
//! business of who asks for it.

use std::time::Duration;

/// What became of a request for a lease.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::{Lease, MemoryBroker, QueueBroker};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let broker = MemoryBroker::new();
/// let minute = Duration::from_secs(60);
/// assert_eq!(broker.lease("nightly", "one", minute).await?, Lease::Granted);
/// assert!(matches!(broker.lease("nightly", "other", minute).await?, Lease::Held { .. }));
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The asking holder has it now, for as long as it asked.
    Granted,
    /// Another holder has it.
    Held {
        /// For how long yet, unless that holder asks again.
        left: Duration,
    },
}
