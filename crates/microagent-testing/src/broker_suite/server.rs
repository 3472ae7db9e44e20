//! The trait by which a driver joins the suite.

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

    /// The time within which the server must react to one event, also to a crash. Default: 10 s.
    const EVENT_LIMIT: Duration = Duration::from_secs(10);

    /// The time after which a clause concludes that no delivery comes. It must be longer than a consumer of the server
    /// needs to get its first message. Default: 100 ms.
    const QUIET: Duration = crate::suite::QUIET;

    /// True if a dead letter has the time of its first failure also after retries. If false, the clause asserts that the
    /// header is missing. Default: true.
    const KEEPS_FIRST_FAILURE: bool = true;

    /// Starts or finds the server of one clause. Clauses may share a server, because names are unique.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// Opens a connection, as another process would.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn connect(&self) -> impl Future<Output = Result<Self::Broker>> + Send;

    /// Ends a connection as the death of its process would: without flushing, returning or settling any message.
    fn crash(&self, connection: &Self::Broker) -> impl Future<Output = ()> + Send;

    /// Cuts all connections, so that the drivers have to reconnect.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn cut(&self) -> impl Future<Output = Result<Cut>> + Send;
}
