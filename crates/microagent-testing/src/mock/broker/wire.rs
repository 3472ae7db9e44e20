//! The driver of the broker mock: consumers with a receipt, and settlements that are remembered.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream};
use microagent_core::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, Delivery, Error, ErrorKind, Lease, Message, Queue,
    QueueBroker, Result, Route, SendOptions, Settle, Settled, Settlement,
};
use tokio::sync::{mpsc, oneshot};

use crate::mock::record::{SentMessage, SettledMessage, json_of, locked};

/// What all connections of a mock share.
#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) sent: Vec<SentMessage>,
    pub(super) settled: Vec<SettledMessage>,
    pub(super) failures: VecDeque<Error>,
    pub(super) lengths: HashMap<String, u64>,
    consumers: Vec<Consumer>,
    last_id: u64,
}

struct Consumer {
    id: u64,
    connection: u64,
    queue: String,
    mailbox: mpsc::UnboundedSender<Handed>,
}

struct Handed {
    delivery: Delivery,
    /// Dropped when the consumer takes the delivery, or ends without it.
    taken: oneshot::Sender<()>,
}

/// Tells of two moments: a consumer took a message, and it was settled.
type Moments = (oneshot::Receiver<()>, oneshot::Receiver<Settlement>);

impl State {
    /// Hands a message to the consumer of its queue, to each in turn where there are several; `None` when there is none.
    pub(super) fn hand(&mut self, shared: &Arc<Shared>, message: &Message) -> Option<Moments> {
        let at = self
            .consumers
            .iter()
            .position(|consumer| consumer.queue == message.queue())?;
        let (taken, when_taken) = oneshot::channel();
        let (settled, when_settled) = oneshot::channel();
        let note = Note {
            shared: Arc::clone(shared),
            settled,
        };
        let delivery = Delivery::new(message.clone(), Box::new(note));
        let consumer = self.consumers.remove(at);
        // The consumer's end is removed from this list before it is dropped, so somebody reads.
        drop(consumer.mailbox.send(Handed { delivery, taken }));
        self.consumers.push(consumer);
        Some((when_taken, when_settled))
    }

    /// The names of the queues that are consumed now.
    pub(super) fn queues_consumed(&self) -> impl Iterator<Item = String> {
        self.consumers.iter().map(|consumer| consumer.queue.clone())
    }

    fn send(&mut self, to: &Route, payload: &Bytes, options: SendOptions) -> Result<()> {
        if let Some(failure) = self.failures.pop_front() {
            return Err(failure);
        }
        self.sent.push(SentMessage {
            queue: to.queue.name().to_owned(),
            body: json_of(payload)?,
            route: to.clone(),
            options,
        });
        Ok(())
    }

    fn length(&self, queue: &str) -> u64 {
        let sent = self.sent.iter().filter(|message| message.queue == queue);
        self.lengths
            .get(queue)
            .copied()
            .unwrap_or_else(|| sent.count() as u64)
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Writes down what becomes of one delivery.
struct Note {
    shared: Arc<Shared>,
    settled: oneshot::Sender<Settlement>,
}

impl Settle for Note {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> Settled {
        self.shared.state().settled.push(SettledMessage {
            message: message.clone(),
            settlement: settlement.clone(),
        });
        // A test that does not wait for it reads the record.
        drop(self.settled.send(settlement));
        Settled::done(Ok(()))
    }
}

/// One connection to the mock.
pub(super) struct Connection {
    shared: Arc<Shared>,
    id: u64,
    closed: AtomicBool,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let id = shared.state().new_id();
        Self {
            shared,
            id,
            closed: AtomicBool::new(false),
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the broker was closed"));
        }
        Ok(())
    }
}

#[async_trait]
impl QueueBroker for Connection {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        self.caps()
            .check_send("mock", to, payload.len(), &options)?;
        self.shared.state().send(to, &payload, options)
    }

    async fn consume(
        &self,
        queue: &Queue,
        _options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.check_open()?;
        let (mailbox, deliveries) = mpsc::unbounded_channel();
        let mut state = self.shared.state();
        let id = state.new_id();
        state.consumers.push(Consumer {
            id,
            connection: self.id,
            queue: queue.name().to_owned(),
            mailbox,
        });
        Ok(Box::pin(Reader {
            shared: Arc::clone(&self.shared),
            id,
            deliveries,
        }))
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        Ok(self.shared.state().length(queue.name()))
    }

    async fn declare(&self, _queue: &Queue) -> Result<()> {
        self.check_open()
    }

    /// Always granted: what runs once, runs in the test.
    async fn lease(&self, _key: &str, _holder: &str, _ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        Ok(Lease::Granted)
    }

    fn caps(&self) -> Caps {
        let mut caps = Caps::default();
        (caps.headers, caps.delay, caps.exchanges) = (true, true, true);
        (caps.keys, caps.native, caps.leases) = (true, true, true);
        caps.max_payload = DEFAULT_MAX_PAYLOAD;
        caps
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()
    }

    fn address(&self) -> String {
        "mock://".to_owned()
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        let mut state = self.shared.state();
        state
            .consumers
            .retain(|consumer| consumer.connection != self.id);
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The reading end of a consumer; the consumer ends with it.
struct Reader {
    shared: Arc<Shared>,
    id: u64,
    deliveries: mpsc::UnboundedReceiver<Handed>,
}

impl Stream for Reader {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let handed = std::task::ready!(self.deliveries.poll_recv(cx));
        Poll::Ready(handed.map(|Handed { delivery, taken }| {
            drop(taken);
            delivery
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.consumers.retain(|consumer| consumer.id != self.id);
        // What was not taken is settled when the channel is dropped, after this lock is released.
    }
}
