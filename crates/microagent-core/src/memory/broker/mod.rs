//! The broker of `memory://`: a connection to the queues of a server.

mod browse;
mod mailbox;
mod queues;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

pub(super) use self::queues::Queues;
use super::{MemoryOptions, server::Server};
use crate::{
    Caps, Clock, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Delivery, Depth, Lease,
    Leases, LengthCounts, Message, Queue, QueueBroker, Result, Route, Selection, SendOptions,
    SystemClock,
    clock::later,
    driver::{ConnectionRecord, ConnectionState, broker_closed},
    ledger::{Entry, PeerId, Position},
};

const CAPS: Caps = Caps {
    creates: true,
    ids: true,
    headers: true,
    delay: true,
    exchanges: false,
    keys: false,
    native: false,
    durable: false,
    shared: false,
    partitioned: false,
    returns_to_tail: false,
    length: LengthCounts::Waiting,
    leases: true,
    peek: true,
    requeue: true,
    purge: true,
    changes_idle_only: false,
    select_by_id: true,
    release: false,
    depth: true,
    connection: true,
    max_payload: DEFAULT_MAX_PAYLOAD,
    max_headers: None,
};

/// A connection to the queues of a `memory://` server. The server treats the connection as one consuming process.
///
/// ```
/// use futures_util::StreamExt;
/// use microagent_core::{ConsumeOptions, MemoryBroker, Queue, QueueBroker};
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let broker = MemoryBroker::new();
/// broker.send(&MAILER.into(), r#"{"text":"hi"}"#.into(), Default::default()).await?;
///
/// let mut mails = broker.consume(&MAILER, ConsumeOptions::with_prefetch(8)).await?;
/// let mail = mails.next().await.expect("a broker that is open");
/// assert_eq!(mail.message().payload(), r#"{"text":"hi"}"#);
/// mail.ack().await?;
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct MemoryBroker {
    server: Arc<Server>,
    queues: Arc<Queues>,
    peer: PeerId,
    address: String,
    clock: Arc<dyn Clock>,
    closed: AtomicBool,
    connection: ConnectionRecord,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// Returns what every broker of this driver can do.
    #[must_use]
    pub fn capabilities() -> Caps {
        CAPS
    }

    /// Creates a connection to a server of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::open(&MemoryOptions::default())
    }

    /// Connects to the server of these options. Dropping the connection does not end its consumers: they end with their
    /// streams, or by [`close`](QueueBroker::close).
    #[must_use]
    pub fn open(options: &MemoryOptions) -> Self {
        let server = options.server();
        let queues = server.queues.clone();
        let peer = PeerId(queues.state().new_id());
        Self {
            server,
            queues,
            peer,
            address: options.address(),
            clock: Arc::new(SystemClock),
            closed: AtomicBool::new(false),
            connection: ConnectionRecord::always_up(),
        }
    }

    /// Uses this clock for the times of messages and dead letters, for tests in virtual time.
    ///
    /// ```
    /// use microagent_core::{MemoryBroker, SystemClock};
    ///
    /// let broker = MemoryBroker::new().clock(SystemClock); // which it is anyway
    /// # drop(broker);
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Ends the connection as the death of its process would: messages in flight are delivered again, as suspects.
    /// Deliveries of this connection can no longer be settled. Tests use this method to check what agents do after a
    /// crash.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use microagent_core::{ConsumeOptions, MemoryBroker, MemoryOptions, Queue, QueueBroker};
    ///
    /// const MAILER: Queue = Queue::new("mailer");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let shop = MemoryOptions::parse("memory://crash")?;
    /// let (dying, other) = (MemoryBroker::open(&shop), MemoryBroker::open(&shop));
    /// other.send(&MAILER.into(), "{}".into(), Default::default()).await?;
    ///
    /// let mut mails = dying.consume(&MAILER, ConsumeOptions::default()).await?;
    /// let in_flight = mails.next().await;
    /// dying.crash();
    ///
    /// let again = other.consume(&MAILER, ConsumeOptions::default()).await?.next().await.expect("an open broker");
    /// assert_eq!(again.message().crashes(), 1);
    /// # drop((again, in_flight));
    /// # Ok::<(), microagent_core::Error>(()) }).unwrap();
    /// ```
    pub fn crash(&self) {
        self.end(|entry| Position::Suspect(entry.crashes + 1));
    }

    fn end(&self, place: impl Fn(&Entry<Message>) -> Position) {
        self.closed.store(true, Ordering::Release);
        self.connection.down(broker_closed());
        let mut state = self.queues.state();
        for (id, mut entry) in state.ledger.lost(self.peer) {
            let place = place(&entry);
            if let Position::Suspect(crashes) = place {
                entry.item = entry.item.with_crashes(crashes);
            }
            state.ledger.put_back(id, entry, place);
        }
        let abandoned = state.close_mailboxes(self.peer);
        self.queues.hand_out(state);
        // The mailboxes' deliveries settle on drop, which takes the lock.
        drop(abandoned);
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(broker_closed());
        }
        Ok(())
    }
}

#[async_trait]
impl QueueBroker for MemoryBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        CAPS.check_send("memory", to, payload.len(), &options)?;
        let mut state = self.queues.state();
        let id = state.new_id();
        let queue = state.ledger.queue(to.queue.name());
        let message_id = options.id.unwrap_or_else(|| id.to_string());
        let mut message = Message::new(queue.clone(), payload).with_id(message_id);
        message = message.with_sent_at(self.clock.now());
        for (name, value) in options.headers {
            message = message.with_header(name, value);
        }
        let place = options.delay.map_or(Position::Tail, |delay| {
            Position::Delayed(later(Instant::now(), delay))
        });
        state.ledger.put(id, &queue, message, place);
        self.queues.hand_out(state);
        Ok(())
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.check_open()?;
        options.refuse_native("memory")?;
        let clock = Arc::clone(&self.clock);
        let mailbox = self
            .queues
            .open_mailbox(queue, self.peer, clock, options.prefetch);
        Ok(Box::pin(mailbox))
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        Ok(self.queues.length(queue))
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.check_open()?;
        Ok(self.queues.depth(queue))
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.check_open()?;
        options.refuse_native("memory")?;
        self.queues.state().ledger.queue(queue.name());
        Ok(())
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.check_open()?;
        Ok(self.queues.peek(queue, limit))
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        Ok(self.queues.requeue(from, to, which))
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        self.check_open()?;
        Ok(self.queues.purge(queue, which))
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    /// Returns the connection's state, which is up until the broker is closed.
    fn connection(&self) -> Option<ConnectionState> {
        Some(self.connection.state())
    }

    fn caps(&self) -> Caps {
        CAPS
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn close(&self) -> Result<()> {
        self.end(|_| Position::Head);
        Ok(())
    }
}

#[async_trait]
impl Leases for MemoryBroker {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        Ok(self.server.leases.ask(key, holder, ttl))
    }
}
