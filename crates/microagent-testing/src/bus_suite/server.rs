//! The trait by which a driver joins the suite, and the objects that the clauses use.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{Bus, BusEvent, BusMessage, BusOptions, Result, SignalBus, SubscriberCount};

use crate::{
    Cut,
    suite::{EventLimit, QUIET, unique},
};

/// A server that the bus suite connects to; implemented by the tests of a driver.
///
/// ```
/// use microagent_core::{MemoryBus, MemoryOptions, Result};
/// use microagent_testing::{BusServer, Cut, bus_suite};
///
/// /// All connections of one clause share a server.
/// struct Memory(MemoryOptions);
///
/// impl BusServer for Memory {
///     type Bus = MemoryBus;
///
///     async fn start() -> Result<Self> {
///         MemoryOptions::parse("memory://suite").map(Self)
///     }
///
///     async fn connect(&self) -> Result<MemoryBus> {
///         Ok(MemoryBus::open(&self.0))
///     }
///
///     async fn cut(&self) -> Result<Cut> {
///         Ok(Cut::NoConnection)
///     }
/// }
///
/// bus_suite!(paused, Memory);
/// # fn main() {}
/// ```
pub trait BusServer: Sized + Send + Sync + 'static {
    /// The driver.
    type Bus: SignalBus;

    /// The time within which the server must react to one event. Default: 10 s.
    const EVENT_LIMIT: Duration = Duration::from_secs(10);

    /// Starts or finds the server of one clause. Clauses may share a server, because names are unique.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// Opens a connection, as another process would.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn connect(&self) -> impl Future<Output = Result<Self::Bus>> + Send;

    /// Cuts all connections, so that the driver has to reconnect.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn cut(&self) -> impl Future<Output = Result<Cut>> + Send;
}

/// A server under test, with names of its own.
pub(crate) struct Fixture<S> {
    pub(crate) server: S,
    pub(crate) prefix: String,
    pub(crate) limit: EventLimit,
}

impl<S: BusServer> Fixture<S> {
    pub(crate) fn of(server: S) -> Self {
        Self {
            server,
            prefix: unique("P"),
            limit: EventLimit(S::EVENT_LIMIT),
        }
    }

    /// Opens a connection, as another process would.
    pub(crate) async fn connect(&self) -> Connection {
        let driver = self.limit.wait("a connection", self.server.connect()).await;
        let driver = Arc::new(driver.expect("a connection"));
        let ready = self.limit.wait("a connection", driver.ready()).await;
        ready.expect("a connection that is ready");
        Connection {
            driver,
            limit: self.limit,
        }
    }

    /// Opens a handle, as another process would.
    pub(crate) async fn bus(&self) -> Bus {
        let options = BusOptions::default().prefix(&self.prefix);
        Bus::with_options(self.connect().await.driver, options).expect("a prefix of letters")
    }

    /// Returns the channel `{prefix}:{rest}`.
    pub(crate) fn channel(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) driver: Arc<dyn SignalBus>,
    limit: EventLimit,
}

impl Connection {
    pub(crate) async fn listen(&self, pattern: &str) -> Listener {
        let subscribing = self.driver.subscribe(pattern);
        let events = self.limit.wait("a subscription", subscribing).await;
        Listener {
            events: events.expect("a subscription"),
            limit: self.limit,
        }
    }

    pub(crate) async fn publish(
        &self,
        channel: &str,
        payload: impl Into<bytes::Bytes>,
    ) -> SubscriberCount {
        let publishing = self.driver.publish(channel, payload.into());
        let published = self.limit.wait("publishing", publishing).await;
        published.expect("a publication")
    }
}

/// One subscription.
pub(crate) struct Listener {
    events: BoxStream<'static, BusEvent>,
    limit: EventLimit,
}

impl Listener {
    /// Returns the next event; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<BusEvent> {
        self.limit.wait("an event", self.events.next()).await
    }

    /// Returns the next message.
    pub(crate) async fn next(&mut self) -> BusMessage {
        match self.limit.wait("a signal", self.events.next()).await {
            Some(BusEvent::Message(published)) => published,
            other => panic!("expected a signal, got {other:?}"),
        }
    }

    /// Asserts that the next message is this one.
    pub(crate) async fn receives(&mut self, channel: &str, payload: &[u8]) {
        let message = self.next().await;
        assert_eq!(
            (message.channel.as_str(), &message.payload[..]),
            (channel, payload)
        );
    }

    /// Asserts that no event arrives within [`QUIET`].
    pub(crate) async fn is_quiet(&mut self) {
        let event = tokio::time::timeout(QUIET, self.events.next()).await;
        assert!(event.is_err(), "expected no event, got {event:?}");
    }
}
