//! The bus on Redis pub/sub: what is published reaches whoever listens now.
//!
//! Publishing goes over the connection that all commands share; what is heard comes over one connection for all
//! subscriptions, which [`subscriber`] keeps alive. It knows channels and bytes, and reads no payload.

mod pattern;
mod subscriber;
mod subscriptions;

use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use microagent_core::{
    BusEvent, Lease, Leases, Mailbox, MailboxStream, Result, SignalBus, SubscriberCount,
    check_published,
    driver::{ConnectionRecord, ConnectionState, bus_closed},
};
use redis::AsyncCommands;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    subscriber::{Command, Subscriber},
    subscriptions::Listener,
};
use crate::{RedisOptions, broker::hold, connection::Connector, error::error_of};

/// A bus on Redis.
///
/// A server counts the subscribers of a message. A cluster does not, because each node knows only its own subscribers:
/// [`publish`](SignalBus::publish) returns [`SubscriberCount::Unknown`].
///
/// ```no_run
/// use futures_util::StreamExt;
/// use microagent_core::{BusEvent, SignalBus};
/// use microagent_redis::{RedisBus, RedisOptions};
///
/// # async fn example() -> microagent_core::Result<()> {
/// let bus = RedisBus::connect(&RedisOptions::parse("redis://localhost/7")?).await?;
/// let mut heard = bus.subscribe("PUBSUB:started:*").await?;
/// bus.publish("PUBSUB:started:shell", "{}".into()).await?;
/// assert!(matches!(heard.next().await, Some(BusEvent::Message(message)) if message.payload == "{}"));
/// # Ok(()) }
/// ```
pub struct RedisBus {
    connector: Connector,
    commands: mpsc::UnboundedSender<Command>,
    closed: CancellationToken,
    /// Of the connection for subscriptions, from the first subscription on.
    subscribed: Arc<ConnectionRecord>,
}

impl RedisBus {
    /// Connects.
    ///
    /// # Errors
    /// [`Refused`](microagent_core::ErrorKind::Refused) for refused credentials. If the server cannot be reached, the bus
    /// keeps trying, and this returns `Ok`.
    pub async fn connect(options: &RedisOptions) -> Result<Self> {
        let connector = Connector::connect(options).await?;
        let (commands, received) = mpsc::unbounded_channel();
        let closed = CancellationToken::new();
        let subscribed = Arc::new(ConnectionRecord::always_up());
        let subscriber = Subscriber::new(connector.clone(), received, subscribed.clone());
        let until = closed.clone();
        tokio::spawn(async move { until.run_until_cancelled(subscriber.run()).await });
        Ok(Self {
            connector,
            commands,
            closed,
            subscribed,
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.is_cancelled() {
            Err(bus_closed())
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl SignalBus for RedisBus {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.check_open()?;
        check_published(channel, payload.len())?;
        let mut connection = self.connector.commands().await?;
        let count: redis::RedisResult<u64> = connection.publish(channel, &payload[..]).await;
        let count = count.map_err(error_of)?;
        Ok(if self.connector.options().is_cluster() {
            SubscriberCount::Unknown
        } else {
            SubscriberCount::Counted(count)
        })
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        self.check_open()?;
        let (mailbox, events) = Mailbox::new();
        let mut subscription = Subscription {
            id: fastrand::u64(..),
            pattern: pattern::to_server(pattern).into(),
            events,
            commands: self.commands.clone(),
        };
        let id = subscription.id;
        let listener = Listener { id, mailbox };
        let subscribe = Command::Subscribe(subscription.pattern.clone(), listener);
        self.commands.send(subscribe).map_err(|_| bus_closed())?;
        subscription.events.live().await.ok_or_else(bus_closed)??;
        Ok(Box::pin(subscription))
    }

    /// In a cluster, asks all nodes, because each knows only its own subscribers.
    async fn subscribed(&self, head: &str) -> Result<Vec<String>> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        let mut command = redis::cmd("PUBSUB");
        command.arg("CHANNELS").arg(pattern::with_head(head));
        let channels: redis::RedisResult<BTreeSet<String>> =
            command.query_async(&mut connection).await;
        Ok(channels.map_err(error_of)?.into_iter().collect())
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()?;
        self.connector.ready().await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    /// Up if both the connection for commands and the one for subscriptions are.
    fn connection(&self) -> Option<ConnectionState> {
        Some(self.connector.state().and(self.subscribed.state()))
    }

    fn address(&self) -> String {
        self.connector.options().address()
    }

    async fn close(&self) -> Result<()> {
        self.closed.cancel();
        self.connector.close();
        Ok(())
    }
}

#[async_trait]
impl Leases for RedisBus {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        hold(&self.connector, key, holder, ttl).await
    }
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// The reading end of a subscription, which ends with it.
#[derive(Debug)]
struct Subscription {
    id: u64,
    pattern: Arc<str>,
    events: MailboxStream,
    commands: mpsc::UnboundedSender<Command>,
}

impl Stream for Subscription {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        self.events.poll_next_unpin(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A bus that was closed has no subscriptions.
        let _ = self
            .commands
            .send(Command::Unsubscribe(self.pattern.clone(), self.id));
    }
}
