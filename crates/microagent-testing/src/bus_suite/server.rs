//! What a driver gives to the suite, and what the clauses make of it.

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

    /// How long the server may take for one event [10 s].
    const EVENT_LIMIT: Duration = Duration::from_secs(10);

    /// The server of one clause: a new one, or one that is shared, since names are unique.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn start() -> impl Future<Output = Result<Self>> + Send;

    /// A connection as another process would have it.
    ///
    /// # Errors
    /// Any; the clause fails with it.
    fn connect(&self) -> impl Future<Output = Result<Self::Bus>> + Send;

    /// Cuts all connections, so that the driver has to heal them.
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

    /// A driver as another process would have it.
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

    /// A handle as another process would have it.
    pub(crate) async fn bus(&self) -> Bus {
        let options = BusOptions::default().prefix(&self.prefix);
        Bus::with_options(self.connect().await.driver, options).expect("a prefix of letters")
    }

    /// `{prefix}:{rest}`.
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
    /// The next event; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<BusEvent> {
        self.limit.wait("an event", self.events.next()).await
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> BusMessage {
        match self.limit.wait("a signal", self.events.next()).await {
            Some(BusEvent::Message(published)) => published,
            other => panic!("a signal was to come, not {other:?}"),
        }
    }

    /// The next message is this one.
    pub(crate) async fn receives(&mut self, channel: &str, payload: &[u8]) {
        let heard = self.next().await;
        assert_eq!(
            (heard.channel.as_str(), &heard.payload[..]),
            (channel, payload)
        );
    }

    /// Nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) {
        let event = tokio::time::timeout(QUIET, self.events.next()).await;
        assert!(event.is_err(), "nothing was to come, not {event:?}");
    }
}
