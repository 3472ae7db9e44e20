//! The bus of `local:`.

mod subscription;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    BusEvent, Lease, Leases, Result, SignalBus, SubscriberCount, check_published,
    driver::ConnectionState,
};

use self::subscription::Subscription;
use crate::{
    LocalOptions,
    connection::{Session, text},
    protocol::Request,
};

/// The signals between the processes that use a folder.
///
/// All handles of a process on one folder share a connection. While no process hosts the folder, which takes
/// milliseconds if another process uses it, publishing waits up to 5 s.
///
/// ```
/// use futures_util::StreamExt;
/// use microagent_core::{BusEvent, SignalBus};
/// use microagent_local::{LocalBus, LocalOptions};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let folder = tempfile::tempdir()?;
/// let options = LocalOptions::parse(&format!("local:{}", folder.path().display()))?;
///
/// let bus = LocalBus::connect(&options).await?;
/// let mut heard = bus.subscribe("PUBSUB:started:*").await?;
/// bus.publish("PUBSUB:started:shell", "{}".into()).await?;
/// assert!(matches!(heard.next().await, Some(BusEvent::Message(message)) if message.payload == "{}"));
/// # bus.close().await?;
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct LocalBus {
    session: Arc<Session>,
    address: String,
}

impl LocalBus {
    /// Connects to the folder's hub, and hosts it if no process does. A hub that does not answer is not an
    /// error: the connection keeps trying, on the runtime on which this function was called.
    ///
    /// # Errors
    /// Returns the errors that waiting cannot fix: [`Configuration`](microagent_core::ErrorKind::Configuration) for a folder
    /// that cannot be used and for a hub of another version, [`Driver`](microagent_core::ErrorKind::Driver) for files in the
    /// folder that cannot be used.
    pub async fn connect(options: &LocalOptions) -> Result<Self> {
        Ok(Self::of(Session::open(options, "bus").await?, options))
    }

    /// Returns a bus with a connection of its own, as another process would have it. For tests of drivers.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    #[doc(hidden)]
    pub async fn connect_apart(options: &LocalOptions) -> Result<Self> {
        Ok(Self::of(Session::apart(options, "bus").await?, options))
    }

    fn of(session: Arc<Session>, options: &LocalOptions) -> Self {
        Self {
            session,
            address: options.address(),
        }
    }
}

#[async_trait]
impl SignalBus for LocalBus {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        check_published(channel, payload.len())?;
        let channel = text("channel", channel)?;
        let publish = Request::Publish { channel, payload };
        self.session
            .count(publish)
            .await
            .map(SubscriberCount::Counted)
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        let pattern = text("pattern", pattern)?;
        let subscription = Subscription::open(self.session.clone(), pattern).await?;
        Ok(Box::pin(subscription))
    }

    async fn subscribed(&self, head: &str) -> Result<Vec<String>> {
        let channels = self.session.channels(text("channel", head)?).await?;
        Ok(channels.iter().map(ToString::to_string).collect())
    }

    async fn ready(&self) -> Result<()> {
        self.session.ready().await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn connection(&self) -> Option<ConnectionState> {
        Some(self.session.state())
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn close(&self) -> Result<()> {
        self.session.close().await
    }
}

#[async_trait]
impl Leases for LocalBus {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let (key, holder) = (text("a key", key)?, text("a holder's name", holder)?);
        self.session.lease(key, holder, ttl).await
    }
}
