//! The driver of the bus mock: subscriptions with a receipt, so that a test knows when a signal was processed.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::join_all,
    stream::{self, BoxStream, Stream},
};
use microagent_core::{
    BusEvent, BusMessage, Channel, Error, ErrorKind, Lease, Leases, Result, SignalBus,
    SubscriberCount, check_published, driver::lock, pattern_matches,
};
use tokio::sync::oneshot;

use crate::mock::{
    connection::Connection,
    readers::{Entry, Reader, Readers},
    record::{SentSignal, json_of},
};

/// The internal signal that carries answers.
const RESPONSE: &str = "response";
/// The internal signal by which agents are asked for their status.
const STATUS: &str = "status";

/// The state that all connections of a mock share.
#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) sent: Vec<SentSignal>,
    pub(super) called: Vec<SentSignal>,
    pub(super) answers: HashMap<String, ConfiguredAnswer>,
    pub(super) failures: VecDeque<Error>,
    subscriptions: Readers<QueuedEvent>,
    asked: HashMap<String, oneshot::Sender<Bytes>>,
}

/// The configured answer to calls of a signal.
pub(super) enum ConfiguredAnswer {
    NoSubscriber,
    Answers(Vec<Bytes>),
}

/// An event on its way to a reader.
struct QueuedEvent {
    event: BusEvent,
    /// Dropped when the reader polls for the next event: it has processed this one then.
    receipt: oneshot::Sender<()>,
}

impl State {
    /// Registers the receiver of the answer to a call of the test, and returns the id of the call.
    pub(super) fn expect_answer(&mut self, reply: oneshot::Sender<Bytes>) -> String {
        let id = format!("asked-{}", self.subscriptions.new_id());
        self.asked.insert(id.clone(), reply);
        id
    }

    /// Delivers a signal to all its subscribers, each under its own prefix; `None` if there are none. The future ends when
    /// all have processed it.
    pub(super) fn deliver(
        &mut self,
        channel: Channel<'_>,
        payload: &Bytes,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let receipts: Vec<_> = self
            .subscriptions
            .entries()
            .iter()
            .filter_map(|subscription| {
                let (prefix, _) = subscription.source.split_once(':')?;
                let channel = Channel { prefix, ..channel }.to_string();
                pattern_matches(&subscription.source, &channel)
                    .then(|| send(subscription, message(channel, payload)))
            })
            .collect();
        (!receipts.is_empty()).then(|| all(receipts))
    }

    /// Delivers an event to all subscriptions.
    pub(super) fn deliver_to_all(&mut self, event: &BusEvent) -> impl Future<Output = ()> + use<> {
        let subscriptions = self.subscriptions.entries();
        let receipts = subscriptions.iter().map(|to| send(to, event.clone()));
        all(receipts.collect())
    }

    /// Returns the names of the signals that are received now.
    pub(super) fn received_signals(&self) -> Vec<String> {
        let subscriptions = self.subscriptions.entries();
        let channels = subscriptions.iter();
        channels
            .filter_map(|subscription| Channel::parse(&subscription.source))
            .filter(|channel| !matches!(channel.signal, RESPONSE | STATUS))
            .map(|channel| channel.signal.to_owned())
            .collect()
    }

    fn publish(&mut self, channel: Channel<'_>, payload: &Bytes) -> Result<SubscriberCount> {
        if let (RESPONSE, Some(id)) = (channel.signal, channel.id) {
            let reply = self.asked.remove(id);
            let sent = reply.map(|reply| reply.send(payload.clone()));
            return Ok(SubscriberCount::Counted(u64::from(sent == Some(Ok(())))));
        }
        if let Some(failure) = self.failures.pop_front() {
            return Err(failure);
        }
        let signal = SentSignal {
            name: channel.signal.to_owned(),
            sender: channel.sender.to_owned(),
            args: json_of(payload)?,
            raw: payload.clone(),
            prefix: channel.prefix.to_owned(),
        };
        let Some(id) = channel.id else {
            self.sent.push(signal);
            return Ok(SubscriberCount::Unknown);
        };
        self.called.push(signal);
        Ok(self.answer(channel.prefix, channel.signal, id))
    }

    fn answer(&self, prefix: &str, signal: &str, id: &str) -> SubscriberCount {
        let bodies = match self.answers.get(signal) {
            None => return SubscriberCount::Unknown,
            Some(ConfiguredAnswer::NoSubscriber) => return SubscriberCount::Counted(0),
            Some(ConfiguredAnswer::Answers(bodies)) => bodies,
        };
        let channel = Channel {
            prefix,
            signal: RESPONSE,
            sender: "mock",
            id: Some(id),
        };
        let channel = channel.to_string();
        for body in bodies {
            for subscription in self.subscriptions.entries().iter() {
                if pattern_matches(&subscription.source, &channel) {
                    send(subscription, message(channel.clone(), body));
                }
            }
        }
        SubscriberCount::Counted(bodies.len() as u64)
    }
}

/// Sends an event to a reader. The receipt resolves when the reader has processed it, or is gone.
fn send(to: &Entry<QueuedEvent>, event: BusEvent) -> oneshot::Receiver<()> {
    let (receipt, done) = oneshot::channel();
    to.send(QueuedEvent { event, receipt });
    done
}

fn message(channel: String, payload: &Bytes) -> BusEvent {
    BusEvent::Message(BusMessage {
        channel,
        payload: payload.clone(),
    })
}

async fn all(receipts: Vec<oneshot::Receiver<()>>) {
    drop(join_all(receipts).await);
}

/// Opens a connection to the mock.
pub(super) fn connect(shared: Arc<Shared>) -> Connection<Shared> {
    let id = shared.state().subscriptions.new_id();
    Connection::new(shared, id, "bus")
}

#[async_trait]
impl SignalBus for Connection<Shared> {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.check_open()?;
        let Some(channel) = Channel::parse(channel) else {
            let text =
                format!("invalid channel `{channel}`: expected `{{prefix}}:{{signal}}:{{sender}}`");
            return Err(Error::new(ErrorKind::InvalidName, text));
        };
        check_published(&channel.to_string(), payload.len())?;
        self.shared.state().publish(channel, &payload)
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        self.check_open()?;
        let events = self.shared.state().subscriptions.add(self.id, pattern);
        Ok(with_receipts(events).boxed())
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()
    }

    fn address(&self) -> String {
        "mock://".to_owned()
    }

    async fn close(&self) -> Result<()> {
        self.set_closed();
        self.shared.state().subscriptions.end(self.id);
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

/// Returns the events; the receipt of each is dropped when the reader polls for the next.
fn with_receipts(events: Reader<QueuedEvent>) -> impl Stream<Item = BusEvent> {
    stream::unfold((events, None), |(mut events, receipt)| async {
        drop(receipt);
        let QueuedEvent { event, receipt } = events.next().await?;
        Some((event, (events, Some(receipt))))
    })
}
