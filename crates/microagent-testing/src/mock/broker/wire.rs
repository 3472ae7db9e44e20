//! The driver of the broker mock: consumers with a receipt, and settlements that are recorded.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    Caps, ConsumeOptions, DEFAULT_MAX_PAYLOAD, DeclareOptions, Delivery, Error, Lease, Leases,
    Message, Queue, QueueBroker, Result, Route, SendOptions, Settle, SettleFuture, Settlement,
    driver::lock,
};
use tokio::sync::oneshot;

use crate::mock::{
    connection::Connection,
    readers::{Entry, Readers},
    record::{SentMessage, SettledMessage, json_of},
};

/// The state that all connections of a mock share.
#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

pub(super) struct State {
    pub(super) caps: Caps,
    pub(super) sent: Vec<SentMessage>,
    pub(super) settled: Vec<SettledMessage>,
    pub(super) failures: VecDeque<Error>,
    pub(super) lengths: HashMap<String, u64>,
    pub(super) lengths_asked: Vec<String>,
    pub(super) declared: Vec<Queue>,
    consumers: Readers<QueuedDelivery>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            caps: every_capability(),
            sent: Vec::new(),
            settled: Vec::new(),
            failures: VecDeque::new(),
            lengths: HashMap::new(),
            lengths_asked: Vec::new(),
            declared: Vec::new(),
            consumers: Readers::default(),
        }
    }
}

/// Returns the capabilities with everything that a message or a schedule can ask for.
fn every_capability() -> Caps {
    let mut caps = Caps::default();
    (caps.creates, caps.ids, caps.headers, caps.delay) = (true, true, true, true);
    caps.exchanges = true;
    (caps.keys, caps.native, caps.leases) = (true, true, true);
    caps.max_payload = DEFAULT_MAX_PAYLOAD;
    caps
}

/// A delivery on its way to a consumer.
struct QueuedDelivery {
    delivery: Delivery,
    /// Dropped when the consumer takes the delivery, or ends without it.
    taken: oneshot::Sender<()>,
}

/// The receivers of two events: a consumer took a message, and it was settled.
type Receipts = (oneshot::Receiver<()>, oneshot::Receiver<Settlement>);

impl State {
    /// Delivers a message to the consumer of its queue, to each in turn if there are several; `None` if there is none.
    pub(super) fn deliver(&mut self, shared: &Arc<Shared>, message: &Message) -> Option<Receipts> {
        let mut consumers = self.consumers.entries();
        let of_queue = |consumer: &Entry<_>| consumer.source == message.queue();
        let at = consumers.iter().position(of_queue)?;
        let (taken, when_taken) = oneshot::channel();
        let (settled, when_settled) = oneshot::channel();
        let settle = RecordingSettle {
            shared: Arc::clone(shared),
            settled,
        };
        let delivery = Delivery::new(message.clone(), Box::new(settle));
        // A consumer leaves this list before its end is dropped, so the delivery is read.
        consumers[at].send(QueuedDelivery { delivery, taken });
        consumers[at..].rotate_left(1);
        Some((when_taken, when_settled))
    }

    /// Returns the names of the queues that are consumed now.
    pub(super) fn consumed_queues(&self) -> Vec<String> {
        let consumers = self.consumers.entries();
        let queues = consumers.iter();
        queues.map(|consumer| consumer.source.clone()).collect()
    }

    fn send(&mut self, to: &Route, payload: &Bytes, options: SendOptions) -> Result<()> {
        if let Some(failure) = self.failures.pop_front() {
            return Err(failure);
        }
        self.sent.push(SentMessage {
            queue: to.queue.name().to_owned(),
            body: json_of(payload)?,
            raw: payload.clone(),
            route: to.clone(),
            options,
        });
        Ok(())
    }

    fn length(&mut self, queue: &str) -> u64 {
        self.lengths_asked.push(queue.to_owned());
        let sent = self.sent.iter().filter(|message| message.queue == queue);
        self.lengths
            .get(queue)
            .copied()
            .unwrap_or_else(|| sent.count() as u64)
    }
}

/// Records the settlement of one delivery.
struct RecordingSettle {
    shared: Arc<Shared>,
    settled: oneshot::Sender<Settlement>,
}

impl Settle for RecordingSettle {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        self.shared.state().settled.push(SettledMessage {
            message: message.clone(),
            settlement: settlement.clone(),
        });
        // A test that does not wait for it reads the record instead.
        drop(self.settled.send(settlement));
        SettleFuture::done(Ok(()))
    }
}

/// Opens a connection to the mock.
pub(super) fn connect(shared: Arc<Shared>) -> Connection<Shared> {
    let id = shared.state().consumers.new_id();
    Connection::new(shared, id, "broker")
}

#[async_trait]
impl QueueBroker for Connection<Shared> {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.check_open()?;
        self.caps()
            .check_send("mock", to, payload.len(), &options)?;
        self.shared.state().send(to, &payload, options)
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.check_open()?;
        if !self.caps().native {
            options.refuse_native("mock")?;
        }
        let queued = self.shared.state().consumers.add(self.id, queue.name());
        let deliveries = queued.map(|QueuedDelivery { delivery, taken }| {
            drop(taken);
            delivery
        });
        Ok(deliveries.boxed())
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.check_open()?;
        Ok(self.shared.state().length(queue.name()))
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.check_open()?;
        if !self.caps().native {
            options.refuse_native("mock")?;
        }
        self.shared.state().declared.push(queue.clone());
        Ok(())
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.caps().leases.then_some(self)
    }

    fn caps(&self) -> Caps {
        self.shared.state().caps
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()
    }

    fn address(&self) -> String {
        "mock://".to_owned()
    }

    async fn close(&self) -> Result<()> {
        self.set_closed();
        self.shared.state().consumers.end(self.id);
        Ok(())
    }
}

#[async_trait]
impl Leases for Connection<Shared> {
    /// Grants each lease: a task that runs once runs in the test.
    async fn lease(&self, _key: &str, _holder: &str, _ttl: Duration) -> Result<Lease> {
        self.check_open().map(|()| Lease::Granted)
    }
}
