//! Leases: exclusive rights with an expiry, which a bus or a broker may offer.
//!
//! The server decides who holds a key, and until when. The caller decides what it does under a lease, and what happens if
//! it cannot have one.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// The leases of a server, for which all processes that share the server compete.
///
/// A driver implements this for its bus, its broker or both, and returns it from
/// [`SignalBus::leases`](crate::SignalBus::leases) and [`QueueBroker::leases`](crate::QueueBroker::leases). Schedules that
/// run `once` need it.
///
/// ```
/// use std::time::Duration;
/// use microagent_core::{Lease, Leases, MemoryBroker};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let broker = MemoryBroker::new();
/// let minute = Duration::from_secs(60);
/// assert_eq!(broker.lease("nightly", "one", minute).await?, Lease::Granted);
/// assert!(matches!(broker.lease("nightly", "other", minute).await?, Lease::Held { .. }));
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes a key for a holder, or prolongs the lease of that holder: until `ttl` from now, by the server's clock. Of
    /// processes that ask at once, one gets the key. A lease ends by its time only, and not by the end of its holder's
    /// process.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) (not confirmed: the holder may or may not have the key),
    /// [`Closed`](crate::ErrorKind::Closed).
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease>;
}

/// The answer to a request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The asking holder has the key now, for as long as it asked.
    Granted,
    /// Another holder has the key.
    Held {
        /// The time until its lease ends, unless that holder asks again.
        left: Duration,
    },
}
