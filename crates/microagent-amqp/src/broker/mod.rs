//! The broker on RabbitMQ: confirmed sends, acknowledged deliveries, and copies where a message moves.
//!
//! RabbitMQ cannot move a message in one step. A copy is stored first and the original removed afterwards, so a crash may leave a
//! message in both places and never in neither.

mod browse;
mod buffer;
mod consumer;
mod publish;
mod session;
mod settle;
mod suspects;
mod tags;
mod topology;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Delivery, Error, ErrorKind, Message,
    Queue, QueueBroker, Result, Route, Selection, SendOptions,
    driver::{ConnectionState, SuspectGate, lock},
};
use tokio::{sync::Notify, task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use self::topology::QueueKind;
use self::{
    buffer::Buffer,
    consumer::Consumer,
    publish::Publisher,
    topology::{Compared, Declaration},
};
use crate::{
    AmqpOptions,
    connection::Link,
    error::{closed, is_final},
    message::Outgoing,
    properties::{MAX_HEADERS, properties},
};

/// The longest time that a closing broker waits for its last settlements. A server that stands still for longer has lost the
/// connection, because of the heartbeats.
const CLOSE: Duration = Duration::from_secs(30);

/// The time after which RabbitMQ, by its default settings, ends a channel that has not settled a message.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// A broker on RabbitMQ.
///
/// Its promises rest on the server: queues that are durable keep confirmed messages over a restart, and a quorum queue keeps them
/// over the loss of a node.
pub struct AmqpBroker {
    options: AmqpOptions,
    consuming: Link,
    publisher: Arc<Publisher>,
    gate: Arc<SuspectGate>,
    freed: Arc<Notify>,
    compared: Arc<Compared>,
    is_closed: AtomicBool,
    stopping: CancellationToken,
    /// Until their last settlement, which may be later than the end of their streams.
    consumers: Mutex<Vec<Arc<Consumer>>>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl AmqpBroker {
    /// Returns what every broker of this driver can do, without a connection.
    #[must_use]
    pub fn capabilities() -> Caps {
        let mut caps = Caps::of_server(DEFAULT_MAX_PAYLOAD);
        (caps.ids, caps.headers, caps.delay) = (true, true, true);
        (caps.exchanges, caps.native) = (true, true);
        caps.returns_to_tail = true;
        (caps.requeue, caps.purge) = (true, true);
        caps.max_headers = Some(MAX_HEADERS);
        caps
    }

    /// Connects, once for sending and once for consuming.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for refused credentials and a virtual host that does not exist. A server that is away is not an
    /// error: the broker keeps trying.
    pub async fn connect(options: &AmqpOptions) -> Result<Self> {
        let (publishing, consuming) = tokio::try_join!(
            Link::connect(options, "sends"),
            Link::connect(options, "consumes"),
        )?;
        Ok(Self {
            options: options.clone(),
            consuming,
            publisher: Arc::new(Publisher::new(publishing)),
            gate: Arc::default(),
            freed: Arc::default(),
            compared: Arc::default(),
            is_closed: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            consumers: Mutex::default(),
            tasks: Arc::default(),
        })
    }

    /// Ends the broker as the death of its process would: nothing is settled or returned. For tests of what happens then.
    #[doc(hidden)]
    pub fn crash(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
        for link in [self.publisher.link().clone(), self.consuming.clone()] {
            tokio::spawn(async move { link.close().await });
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(())
    }

    fn consumer(&self, queue: &Queue, options: &ConsumeOptions) -> Result<Arc<Consumer>> {
        let consumer = Arc::new(Consumer {
            queue: queue.clone(),
            declaration: Declaration::of(self.options.queues, &options.native)?,
            // 0 means no limit to the server.
            prefetch: u16::try_from(options.prefetch.max(1)).unwrap_or(u16::MAX),
            link: self.consuming.clone(),
            publisher: Arc::clone(&self.publisher),
            compared: Arc::clone(&self.compared),
            gate: Arc::clone(&self.gate),
            freed: Arc::clone(&self.freed),
            tasks: Arc::clone(&self.tasks),
            buffer: Buffer::default(),
            suspected: Notify::new(),
            stopping: self.stopping.child_token(),
            ended: CancellationToken::new(),
            ended_suspects: CancellationToken::new(),
            sessions: Mutex::default(),
        });
        Ok(consumer)
    }

    fn start(&self, consumer: &Arc<Consumer>, first: Option<consumer::Opened>) {
        let started = [
            tokio::spawn(Arc::clone(consumer).run(first)).abort_handle(),
            tokio::spawn(suspects::run(Arc::clone(consumer))).abort_handle(),
        ];
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.extend(started);
        let mut consumers = lock(&self.consumers);
        consumers.retain(|known| !known.is_over());
        consumers.push(Arc::clone(consumer));
    }

    /// Returns the exchange and the routing key of a route. Without an exchange the key is the queue.
    fn place(to: &Route) -> (String, String) {
        let exchange = to.exchange.as_deref().or_else(|| to.queue.exchange());
        let key = to.topic.as_deref().unwrap_or_else(|| to.queue.name());
        (exchange.unwrap_or_default().to_owned(), key.to_owned())
    }

    async fn send_later(&self, to: &Route, message: Outgoing, delay: Duration) -> Result<()> {
        let queue = to.queue.name();
        if !message.exchange.is_empty() || to.topic.is_some() {
            let text = format!(
                "a delay of a message for `{queue}` is not supported by `amqp` with an exchange or a topic"
            );
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        // RabbitMQ drops a message whose delay has ended and whose queue is not there.
        if topology::waiting(&self.consuming.up().await?, queue)
            .await?
            .is_none()
        {
            return self
                .publisher
                .in_time(self.publisher.publish(&message))
                .await;
        }
        let (kind, now) = (self.options.queues, SystemTime::now());
        let sending = self
            .publisher
            .publish_after(queue, delay, kind, message, now);
        self.publisher.in_time(sending).await
    }

    /// Ends all consumers: what is settled is settled, and the rest goes back.
    async fn leave(&self) {
        let consumers = std::mem::take(&mut *lock(&self.consumers));
        for consumer in consumers {
            consumer.ended.cancelled().await;
            consumer.ended_suspects.cancelled().await;
            consumer.abandon().await;
        }
    }
}

#[async_trait]
impl QueueBroker for AmqpBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        self.caps()
            .check_send("amqp", to, payload.len(), &options)?;
        let (exchange, routing_key) = Self::place(to);
        let message = Outgoing {
            exchange,
            routing_key,
            properties: properties(&to.queue, &options)?,
            body: payload,
        };
        match options.delay {
            // In a box, so that the future of each message does not have the place for it.
            Some(delay) => Box::pin(self.send_later(to, message, delay)).await,
            None => {
                self.publisher
                    .in_time(self.publisher.publish(&message))
                    .await
            }
        }
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.check_open()?;
        warn_of_slow_handler(queue, &options);
        let consumer = self.consumer(queue, &options)?;
        let first = match self.consuming.up().await {
            Ok(up) => match consumer.open(&up).await {
                Err(error) if is_final(&error) => return Err(error),
                opened => opened.ok(),
            },
            Err(error) if is_final(&error) => return Err(error),
            Err(_) => None,
        };
        self.start(&consumer, first);
        Ok(consumer.stream())
    }

    /// A queue that does not exist is empty.
    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        let up = self.consuming.up().await?;
        Ok(topology::waiting(&up, queue.name())
            .await?
            .unwrap_or_default())
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.check_open()?;
        let declaration = Declaration::of(self.options.queues, &options.native)?;
        let up = self.consuming.up().await?;
        topology::declare(&up, queue, &declaration, &self.compared).await
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.check_open()?;
        let up = self.consuming.up().await?;
        browse::peek(&up, queue, limit, &self.address()).await
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        let (limit, up) = (which.limit(&self.address())?, self.consuming.up().await?);
        browse::requeue(&up, &self.publisher, (from, to), limit).await
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        let up = self.consuming.up().await?;
        browse::purge(&up, queue, which, &self.address()).await
    }

    fn connection(&self) -> Option<ConnectionState> {
        Some(self.publisher.link().state().and(self.consuming.state()))
    }

    fn caps(&self) -> Caps {
        Self::capabilities()
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()?;
        self.publisher.link().ready().await?;
        self.consuming.ready().await.map(drop)
    }

    fn address(&self) -> String {
        self.options.address()
    }

    async fn close(&self) -> Result<()> {
        self.stopping.cancel();
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let left = timeout(CLOSE, self.leave()).await;
        tokio::join!(self.publisher.link().close(), self.consuming.close());
        lock(&self.tasks).iter().for_each(AbortHandle::abort);
        left.map_err(|_| {
            let text = "the server did not take the last settlements in time";
            Error::new(ErrorKind::Timeout, text)
        })
    }
}

/// The server would hand out the message again, as one whose consumer died, while its handler is at work.
fn warn_of_slow_handler(queue: &Queue, options: &ConsumeOptions) {
    let longest = options.handler_timeout.unwrap_or_default();
    if longest > CONSUMER_TIMEOUT {
        warn!(
            queue = queue.name(),
            timeout = ?longest,
            default = ?CONSUMER_TIMEOUT,
            "a handler may take longer than RabbitMQ waits by default until it delivers a message again: raise its `consumer_timeout`"
        );
    }
}

impl Drop for AmqpBroker {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

impl fmt::Debug for AmqpBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBroker")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    /// The lines of a log.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_handler_that_is_slower_than_the_server_allows_is_warned_of() {
        for (minutes, warned) in [(30, false), (31, true)] {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
            let mut options = ConsumeOptions::with_prefetch(1);
            options.handler_timeout = Some(Duration::from_secs(minutes * 60));
            tracing::subscriber::with_default(subscriber.finish(), || {
                warn_of_slow_handler(&Queue::new("slow"), &options);
            });
            let text = String::from_utf8(lock(&lines.0).clone()).unwrap();
            assert_eq!(text.contains("consumer_timeout"), warned, "{text}");
        }
    }
}
