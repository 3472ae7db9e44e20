//! What a driver gives to the suite.

use std::{future::Future, time::Duration};

use microagent_core::{QueueBroker, Result};

use crate::Cut;

/// A server that the broker suite connects to; implemented by the tests of a driver.
///
/// ```
/// use microagent_core::{MemoryBroker, MemoryOptions, Result};
/// use microagent_testing::{BrokerServer, Cut, broker_suite};
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
///     async fn crash(&self, connection: &MemoryBroker) {
///         connection.crash();
///     }
///
///     async fn cut(&self) -> Result<Cut> {
///         Ok(Cut::NoConnection)
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
    const EVENT_LIMIT: Duration = Duration::from_secs(10);

    /// Whether a dead letter tells when the message failed first also after retries; the clause asserts that it tells
    /// nothing where this is not so [true].
    const KEEPS_FIRST_FAILURE: bool = true;

    /// The server of one clause: a new one, or one that is shared, since names are unique.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// A connection as another process would have it.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn connect(&self) -> impl Future<Output = Result<Self::Broker>> + Send;

    /// Ends a connection as the death of its process would: nothing is flushed, nothing is given back, and nothing settles
    /// what it held.
    fn crash(&self, connection: &Self::Broker) -> impl Future<Output = ()> + Send;

    /// Cuts all connections, so that the drivers have to heal them.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn cut(&self) -> impl Future<Output = Result<Cut>> + Send;
}
