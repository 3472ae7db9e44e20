//! The queue broker on Redis lists: it delivers at least once, and works beside any peer that pushes and pops.
//!
//! A queue is a list under its own name. A consumer takes a message by moving it, in one atomic step, to a hash of its own.
//! The settlement moves it on. If a consumer dies, the others recover its messages. The steps are the scripts in `lua/`.

mod browse;
mod consumer;
mod keys;
mod lease;
mod refusals;
mod release;
mod reply;
mod scripts;
mod session;
mod settle;
mod stored;
mod sweep;

use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Delivery, Depth, Error, ErrorKind,
    Lease, Leases, Message, Queue, QueueBroker, Result, Route, Selection, SendOptions,
    driver::{
        ConnectionState, DeliverySender, Outage, SuspectGate, broker_closed, delivery_channel, lock,
    },
};
use redis::AsyncCommands;
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    consumer::{Consumer, Setup},
    keys::QueueKeys,
    settle::Order,
};
use crate::{connection::Connector, error::error_of_change, options::RedisOptions};

/// The time that a closing broker waits for the server to take the last settlements. Afterwards other consumers find the lease
/// ended and take the messages for those of a consumer that died.
const CLOSE: Duration = Duration::from_secs(20);

/// A broker on Redis.
///
/// It depends on the settings of the server: with `appendonly yes` confirmed messages survive a crash of the server, and with
/// `maxmemory-policy noeviction` the server does not evict queues.
pub struct RedisBroker {
    connector: Connector,
    gate: Arc<SuspectGate>,
    lease: Duration,
    stopping: CancellationToken,
    settlements: Mutex<Option<mpsc::UnboundedSender<Order>>>,
    consumers: Mutex<Vec<Weak<Consumer>>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl RedisBroker {
    /// Returns what every broker of this driver can do, without a connection.
    #[must_use]
    pub fn capabilities() -> Caps {
        let mut caps = Caps::of_server(DEFAULT_MAX_PAYLOAD);
        (caps.creates, caps.leases) = (true, true);
        (caps.peek, caps.requeue, caps.purge) = (true, true, true);
        (caps.select_by_id, caps.depth, caps.release) = (true, true, true);
        caps
    }

    /// Connects to the server.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for refused credentials. If the server cannot be reached, the broker keeps trying, and this
    /// returns `Ok`.
    pub async fn connect(options: &RedisOptions) -> Result<Self> {
        Self::connect_with_lease(options, lease::LEASE).await
    }

    /// Connects with another duration of the leases of consumers than 10 s, for tests of dead consumers.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    #[doc(hidden)]
    pub async fn connect_with_lease(options: &RedisOptions, lease: Duration) -> Result<Self> {
        let connector = Connector::connect(options).await?;
        let (settlements, received) = mpsc::unbounded_channel();
        let tasks = [
            tokio::spawn(settle::flush_all(received, connector.clone())).abort_handle(),
            tokio::spawn(warn_of_eviction(connector.clone())).abort_handle(),
        ];
        Ok(Self {
            tasks: Mutex::new(tasks.into()),
            connector,
            gate: Arc::default(),
            lease,
            stopping: CancellationToken::new(),
            settlements: Mutex::new(Some(settlements)),
            consumers: Mutex::default(),
        })
    }

    fn check_open(&self) -> Result<mpsc::UnboundedSender<Order>> {
        lock(&self.settlements).clone().ok_or_else(broker_closed)
    }

    fn living_consumers(&self) -> Vec<Arc<Consumer>> {
        lock(&self.consumers)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Ends the broker as the death of its process would: it settles and returns nothing, and sends no heartbeats. For tests of
    /// dead consumers.
    #[doc(hidden)]
    pub fn crash(&self) {
        drop(lock(&self.settlements).take());
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
    }

    fn start(&self, consumer: &Arc<Consumer>, deliveries: DeliverySender) {
        let started = [
            tokio::spawn(lease::keep(Arc::clone(consumer))).abort_handle(),
            tokio::spawn(sweep::sweep(Arc::clone(consumer))).abort_handle(),
            tokio::spawn(Arc::clone(consumer).run(deliveries)).abort_handle(),
        ];
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.extend(started);
        let mut consumers = lock(&self.consumers);
        consumers.retain(|known| known.strong_count() > 0);
        consumers.push(Arc::downgrade(consumer));
    }
}

#[async_trait]
impl QueueBroker for RedisBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        self.caps()
            .check_send("redis", to, payload.len(), &options)?;
        let mut connection = self.connector.commands().await?;
        let sent: redis::RedisResult<u64> = connection.rpush(to.queue.name(), &payload[..]).await;
        let unknown = |error| error_of_change(error, "the message may or may not have been sent");
        sent.map(drop).map_err(unknown)
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        let settlements = self.check_open()?;
        options.refuse_native("redis")?;
        let stopping = self.stopping.child_token();
        let (prefetch, deliveries, stream) =
            delivery_channel(options.prefetch, Arc::clone(&self.gate), stopping.clone());
        let consumer = Consumer::new(Setup {
            queue: queue.name().into(),
            connector: self.connector.clone(),
            gate: Arc::clone(&self.gate),
            settlements,
            lease: self.lease,
            prefetch,
            stopping,
        });
        self.start(&consumer, deliveries);
        Ok(Box::pin(stream))
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        scripts::length(&mut connection, &QueueKeys::of(queue.name())).await
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        scripts::depth(&mut connection, &QueueKeys::of(queue.name())).await
    }

    /// Checks the options and that the broker is open: Redis creates a list with its first message.
    async fn declare(&self, _queue: &Queue, options: &DeclareOptions) -> Result<()> {
        options.refuse_native("redis")?;
        self.check_open().map(drop)
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        browse::peek(&mut connection, queue, limit).await
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        let apart = self.connector.options().is_cluster();
        match which {
            Selection::Id(id) => {
                let moved = browse::requeue_one(&mut connection, (from, to), id, apart);
                moved.await.map(u64::from)
            }
            which => {
                let limit = which.limit("redis")?;
                browse::requeue(&mut connection, (from, to), limit, apart).await
            }
        }
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        let mut connection = self.connector.commands().await?;
        match which {
            Selection::Id(id) => {
                let removed = browse::purge_one(&mut connection, queue, id).await;
                removed.map(u64::from)
            }
            which => browse::purge(&mut connection, queue, which.limit("redis")?).await,
        }
    }

    async fn release(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        release::release(&self.connector, queue, self.lease).await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn connection(&self) -> Option<ConnectionState> {
        Some(self.connector.state())
    }

    fn caps(&self) -> Caps {
        Self::capabilities()
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()?;
        self.connector.ready().await
    }

    fn address(&self) -> String {
        self.connector.options().address()
    }

    async fn close(&self) -> Result<()> {
        self.stopping.cancel();
        let Some(settlements) = lock(&self.settlements).take() else {
            return Ok(());
        };
        let late = |_| {
            Error::new(
                ErrorKind::Timeout,
                "redis did not confirm the last settlements in time",
            )
        };
        let left = timeout(CLOSE, self.leave(settlements)).await;
        self.connector.close();
        left.map_err(late)?
    }
}

#[async_trait]
impl Leases for RedisBroker {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        hold(&self.connector, key, holder, ttl).await
    }
}

/// Takes or prolongs a lease. A bus and a broker on one server have the same leases.
pub(crate) async fn hold(
    connector: &Connector,
    key: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Lease> {
    let mut connection = connector.commands().await?;
    scripts::hold(&mut connection, &keys::lease(key), holder, ttl).await
}

impl RedisBroker {
    /// Ends all consumers: waits for their settlements, and returns their other messages.
    async fn leave(&self, settlements: mpsc::UnboundedSender<Order>) -> Result<()> {
        let consumers = self.living_consumers();
        for consumer in &consumers {
            consumer.ended.cancelled().await;
        }
        let (done, flushed) = oneshot::channel();
        if settlements.send(Order::Flush(done)).is_ok() {
            // If the task is gone, there are no settlements to wait for.
            let _ = flushed.await;
        }
        for consumer in &consumers {
            self.return_rest(consumer).await?;
        }
        Ok(())
    }

    /// Returns the messages that a consumer has on the server, and ends its lease. If the server does not answer, this is
    /// repeated; if it was away before, that is an error at once.
    async fn return_rest(&self, consumer: &Consumer) -> Result<()> {
        self.connector.commands().await?;
        let mut outage = Outage::default();
        loop {
            let error = match self.try_to_return_rest(consumer).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => error,
                done => return done,
            };
            if outage.is_news(&error) {
                warn!(queue = &*consumer.queue, %error, "cannot return messages; will keep retrying");
            }
            sleep(outage.pause()).await;
        }
    }

    async fn try_to_return_rest(&self, consumer: &Consumer) -> Result<()> {
        let mut connection = self.connector.commands().await?;
        scripts::reconcile(&mut connection, &consumer.identity(), &[], true).await?;
        sweep::move_unreadable(&self.connector, &consumer.keys).await
    }
}

impl Drop for RedisBroker {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl fmt::Debug for RedisBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBroker")
            .field("address", &self.connector.options().address())
            .finish_non_exhaustive()
    }
}

/// Checks once if the server may evict queues, and logs a warning if so.
async fn warn_of_eviction(connector: Connector) {
    if connector.ready().await.is_err() {
        return;
    }
    let Ok(mut connection) = connector.commands().await else {
        return;
    };
    let info: redis::RedisResult<String> = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await;
    let info = info.unwrap_or_default();
    let policy = info
        .lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"));
    if let Some(policy) = policy.filter(|policy| policy.trim() != "noeviction") {
        warn!(
            server = connector.options().address(),
            policy = policy.trim(),
            "the server may evict queues when its memory is full: set `maxmemory-policy noeviction`"
        );
    }
}
