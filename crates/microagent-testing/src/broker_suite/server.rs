//! What a driver gives to the suite.

use std::{future::Future, time::Duration};

use microagent_core::{QueueBroker, Result};

/// A server that the broker suite connects to; implemented by the tests of a driver.
///
/// ```
/// use microagent_core::{MemoryBroker, MemoryOptions, Result};
/// use microagent_testing::{BrokerServer, broker_suite};
///
/// /// All connections share a server.
/// struct Memory(MemoryOptions);
///
/// impl BrokerServer for Memory {
///     type Broker = MemoryBroker;
///
///     async fn start() -> Result<Self> {
///         MemoryOptions::parse("memory://suite").map(Self)
///     }
///
///     async fn connect(&self) -> Result<MemoryBroker> {
///         Ok(MemoryBroker::open(&self.0))
///     }
///
///     async fn crash(&self, connection: &MemoryBroker) -> bool {
///         connection.crash();
///         true
///     }
/// }
///
/// broker_suite!(paused, Memory);
/// # fn main() {}
/// ```
pub trait BrokerServer: Sized + Send + Sync + 'static {
    /// The driver.
    type Broker: QueueBroker;

    /// How long the server may take for one event, the recovery of a crash included [10 s].
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The server of one clause: a new one, or one that is shared, since names are unique.
    ///
    /// # Errors
    /// Any; the clause fails with it. [`ErrorKind::Unsupported`](microagent_core::ErrorKind::Unsupported) says that there is
    /// to be no server: the clause is skipped, and says so.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// A connection as another process would have it.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn connect(&self) -> impl Future<Output = Result<Self::Broker>> + Send;

    /// Ends a connection as the death of its process would: nothing is flushed, nothing is given back, and nothing settles
    /// what it held. `false`, the default, says that it cannot be done; the clauses that need it are skipped then, and
    /// say so.
    fn crash(&self, connection: &Self::Broker) -> impl Future<Output = bool> + Send {
        let _ = connection;
        std::future::ready(false)
    }

    /// Cuts all connections, so that the drivers have to heal them. `false`, the default, says that it cannot be done.
    fn cut(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }
}
