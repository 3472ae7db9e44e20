//! The broker of `memory://`: the ledger's queues behind one lock, and a mailbox for each consumer.

mod browse;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until},
};

use super::{
    MemoryOptions,
    server::{Server, locked},
};
use crate::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, Delivery, Error, ErrorKind, Lease, Message, Queue,
    QueueBroker, Result, Route, SendOptions, Settle, Settled, Settlement, header,
    ledger::{ConsumerId, Entry, Ledger, MessageId, PeerId, Place},
};

const CAPS: Caps = Caps {
    headers: true,
    delay: true,
    exchanges: false,
    keys: false,
    native: false,
    durable: false,
    shared: false,
    leases: true,
    browse: true,
    max_payload: DEFAULT_MAX_PAYLOAD,
};

/// A connection to the queues of a `memory://` server. To the server it is one consuming process.
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
    closed: AtomicBool,
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// A connection to a server of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::open(&MemoryOptions::default())
    }

    /// Connects. Dropping the connection ends nothing: consumers end with their streams, or by
    /// [`close`](QueueBroker::close).
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
            closed: AtomicBool::new(false),
        }
    }

    /// Ends the connection as the death of its process would: what was in flight is delivered again, as a suspect. What
    /// holds a delivery of it can not settle it any more. For tests of what agents do after a crash.
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
        self.end(|entry| Place::Suspect(entry.crashes + 1));
    }

    fn end(&self, place: impl Fn(&Entry<Message>) -> Place) {
        self.closed.store(true, Ordering::Release);
        let mut state = self.queues.state();
        for (id, mut entry) in state.ledger.lost(self.peer) {
            let place = place(&entry);
            if let Place::Suspect(crashes) = place {
                entry.item = entry.item.with_crashes(crashes);
            }
            state.ledger.put_back(id, entry, place);
        }
        let abandoned = state.close_mailboxes(self.peer);
        self.queues.hand_out(state);
        // Their deliveries settle on drop, which takes the lock.
        drop(abandoned);
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the broker was closed"));
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
        let queue = state.ledger.line(to.queue.name());
        let mut message = Message::new(queue.clone(), payload).with_id(id.to_string());
        for (name, value) in options.headers {
            message = message.with_header(name, value);
        }
        let place = options
            .delay
            .map_or(Place::Tail, |delay| Place::Delayed(Instant::now() + delay));
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
        let mailbox = self.queues.open_mailbox(queue, self.peer, options.prefetch);
        let deliveries = stream::unfold(mailbox, |mut mailbox| async {
            Some((mailbox.next().await?, mailbox))
        });
        Ok(Box::pin(deliveries))
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        let mut state = self.queues.state();
        state.ledger.wake(Instant::now());
        Ok(state.ledger.length(queue.name()) as u64)
    }

    async fn declare(&self, queue: &Queue) -> Result<()> {
        self.check_open()?;
        self.queues.state().ledger.line(queue.name());
        Ok(())
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.check_open()?;
        Ok(self.queues.peek(queue, limit))
    }

    async fn requeue(&self, from: &Queue, to: &Queue, limit: u64) -> Result<u64> {
        self.check_open()?;
        Ok(self.queues.requeue(from, to, limit))
    }

    async fn purge(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        Ok(self.queues.purge(queue))
    }

    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        Ok(self.server.leases.ask(key, holder, ttl))
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
        self.end(|_| Place::Head);
        Ok(())
    }
}

/// All queues of a server.
#[derive(Debug, Default)]
pub(super) struct Queues {
    state: Mutex<State>,
    /// A message was delayed, perhaps to before what consumers wait for.
    delayed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger<Message>,
    mailboxes: HashMap<ConsumerId, Slot>,
    last_id: u64,
}

#[derive(Debug)]
struct Slot {
    peer: PeerId,
    sender: mpsc::UnboundedSender<Delivery>,
}

impl State {
    /// Ids of messages, consumers and peers.
    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn close_mailboxes(&mut self, peer: PeerId) -> Vec<Slot> {
        self.mailboxes
            .extract_if(|_, slot| slot.peer == peer)
            .map(|(_, slot)| slot)
            .collect()
    }
}

type Guard<'a> = std::sync::MutexGuard<'a, State>;

impl Queues {
    fn state(&self) -> Guard<'_> {
        locked(&self.state)
    }

    fn open_mailbox(self: &Arc<Self>, queue: &Queue, peer: PeerId, prefetch: usize) -> Mailbox {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let mut state = self.state();
        let consumer = ConsumerId(state.new_id());
        state.mailboxes.insert(consumer, Slot { peer, sender });
        state.ledger.join(consumer, peer, queue.name(), prefetch);
        self.hand_out(state);
        Mailbox {
            queues: self.clone(),
            consumer,
            deliveries,
        }
    }

    /// Puts what can be handed out into mailboxes. Every change of the ledger ends here.
    fn hand_out(self: &Arc<Self>, mut state: Guard<'_>) {
        let State {
            ledger, mailboxes, ..
        } = &mut *state;
        let mut undeliverable = Vec::new();
        while let Some(handed) = ledger.hand_out() {
            let (Some(entry), Some(slot)) =
                (ledger.get(handed.id), mailboxes.get(&handed.consumer))
            else {
                continue;
            };
            let settle = Settler {
                queues: self.clone(),
                id: handed.id,
                peer: slot.peer,
            };
            let delivery = Delivery::new(entry.item.clone(), Box::new(settle));
            undeliverable.extend(slot.sender.send(delivery).err());
        }
        drop(state);
        // A mailbox that is being dropped: they go back, which takes the lock.
        drop(undeliverable);
    }

    fn settle(self: &Arc<Self>, id: MessageId, peer: PeerId, settlement: Settlement) -> Result<()> {
        let mut state = self.state();
        let Some(mut entry) = state.ledger.take(id, peer) else {
            let text = "the connection ended before the settlement; the message is delivered again";
            return Err(Error::new(ErrorKind::Unavailable, text));
        };
        match settlement {
            Settlement::Ack => {}
            Settlement::Return => state.ledger.put_back(id, entry, Place::Head),
            Settlement::Retry { after, .. } => {
                entry.item = failed(entry.item);
                state
                    .ledger
                    .put_back(id, entry, Place::Delayed(Instant::now() + after));
                self.delayed.notify_waiters();
            }
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => {
                let headers =
                    header::of_dead_letter(&entry.item, reason, &detail, SystemTime::now());
                let dead = headers.into_iter().fold(
                    Message::new(queue.as_str(), entry.item.payload().clone())
                        .with_id(id.to_string()),
                    |dead, (name, value)| dead.with_header(name, value),
                );
                state.ledger.put(id, &queue, dead, Place::Tail);
            }
        }
        self.hand_out(state);
        Ok(())
    }

    /// Lets due messages wait in their queues, and says when the next one is due.
    fn wake(self: &Arc<Self>) -> Option<Instant> {
        let mut state = self.state();
        state.ledger.wake(Instant::now());
        let next = state.ledger.next_due();
        self.hand_out(state);
        next
    }
}

/// The message as its next handling.
fn failed(message: Message) -> Message {
    let (attempt, first) = (message.attempt() + 1, message.first_failure());
    message
        .with_attempt(attempt)
        .with_first_failure(first.unwrap_or_else(SystemTime::now))
}

/// The reading end of a consumer; the consumer ends with it.
struct Mailbox {
    queues: Arc<Queues>,
    consumer: ConsumerId,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Mailbox {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            // Registered before the ledger is looked at, so that no delay is overlooked.
            let delayed = self.queues.delayed.notified();
            if let Ok(delivery) = self.deliveries.try_recv() {
                return Some(delivery);
            }
            let due = self.queues.wake();
            tokio::select! {
                biased;
                delivery = self.deliveries.recv() => return delivery,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = delayed => {}
            }
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = self.queues.state();
        state.ledger.leave(self.consumer);
        let slot = state.mailboxes.remove(&self.consumer);
        self.queues.hand_out(state);
        drop(slot);
        // What was not read goes back when the channel is dropped.
    }
}

struct Settler {
    queues: Arc<Queues>,
    id: MessageId,
    peer: PeerId,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, _message: &Message, settlement: Settlement) -> Settled {
        Settled::done(self.queues.settle(self.id, self.peer, settlement))
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
