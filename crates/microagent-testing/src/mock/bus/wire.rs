//! The driver of the bus mock: subscriptions with a receipt, so that a test knows when a signal was taken in.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    future::join_all,
    stream::{BoxStream, Stream},
};
use microagent_core::{
    BusEvent, Channel, Error, ErrorKind, Published, Receivers, Result, SignalBus, pattern_matches,
};
use tokio::sync::{mpsc, oneshot};

use crate::mock::record::{SentSignal, json_of, locked};

/// The internal signal that carries answers.
const RESPONSE: &str = "response";

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
    pub(super) sent: Vec<SentSignal>,
    pub(super) called: Vec<SentSignal>,
    pub(super) canned: HashMap<String, Canned>,
    pub(super) failures: VecDeque<Error>,
    subscriptions: Vec<Subscription>,
    asked: HashMap<String, oneshot::Sender<Bytes>>,
    last_id: u64,
}

/// What happens to the calls of a signal.
pub(super) enum Canned {
    Nobody,
    Answers(Vec<Bytes>),
}

struct Subscription {
    id: u64,
    connection: u64,
    pattern: String,
    mailbox: mpsc::UnboundedSender<Handed>,
}

struct Handed {
    event: BusEvent,
    /// Dropped when the reader comes for the next event: it is done with this one.
    receipt: oneshot::Sender<()>,
}

impl State {
    /// Registers who is told the answer to a call of the test, and gives the id of the call.
    pub(super) fn expect_answer(&mut self, tell: oneshot::Sender<Bytes>) -> String {
        let id = format!("asked-{}", self.new_id());
        self.asked.insert(id.clone(), tell);
        id
    }

    /// Hands a signal to all who hear it, each under its own prefix; `None` when there is nobody. The future ends when
    /// all are done with it.
    pub(super) fn hand(
        &mut self,
        channel: Channel<'_>,
        payload: &Bytes,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let receipts: Vec<_> = self
            .subscriptions
            .iter()
            .filter_map(|subscription| {
                let (prefix, _) = subscription.pattern.split_once(':')?;
                let channel = Channel { prefix, ..channel }.to_string();
                pattern_matches(&subscription.pattern, &channel)
                    .then(|| subscription.hand(message(channel, payload)))
            })
            .collect();
        (!receipts.is_empty()).then(|| all(receipts))
    }

    /// Hands an event to all subscriptions.
    pub(super) fn hand_to_all(&mut self, event: &BusEvent) -> impl Future<Output = ()> + use<> {
        let handed = self
            .subscriptions
            .iter()
            .map(|subscription| subscription.hand(event.clone()));
        all(handed.collect())
    }

    /// The names of the signals that are received now.
    pub(super) fn signals_heard(&self) -> impl Iterator<Item = String> {
        let channels = self.subscriptions.iter();
        channels
            .filter_map(|subscription| Channel::parse(&subscription.pattern))
            .filter(|channel| channel.signal != RESPONSE)
            .map(|channel| channel.signal.to_owned())
    }

    fn publish(&mut self, channel: Channel<'_>, payload: &Bytes) -> Result<Receivers> {
        if let (RESPONSE, Some(id)) = (channel.signal, channel.id) {
            let told = self.asked.remove(id).map(|tell| tell.send(payload.clone()));
            return Ok(Receivers::Counted(u64::from(told == Some(Ok(())))));
        }
        if let Some(failure) = self.failures.pop_front() {
            return Err(failure);
        }
        let signal = SentSignal {
            name: channel.signal.to_owned(),
            sender: channel.sender.to_owned(),
            args: json_of(payload)?,
            prefix: channel.prefix.to_owned(),
        };
        let Some(id) = channel.id else {
            self.sent.push(signal);
            return Ok(Receivers::Unknown);
        };
        self.called.push(signal);
        Ok(self.answer(channel.prefix, channel.signal, id))
    }

    fn answer(&self, prefix: &str, signal: &str, id: &str) -> Receivers {
        let bodies = match self.canned.get(signal) {
            None => return Receivers::Unknown,
            Some(Canned::Nobody) => return Receivers::Counted(0),
            Some(Canned::Answers(bodies)) => bodies,
        };
        let channel = Channel {
            prefix,
            signal: RESPONSE,
            sender: "mock",
            id: Some(id),
        };
        let channel = channel.to_string();
        for body in bodies {
            for subscription in &self.subscriptions {
                if pattern_matches(&subscription.pattern, &channel) {
                    subscription.hand(message(channel.clone(), body));
                }
            }
        }
        Receivers::Counted(bodies.len() as u64)
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Subscription {
    fn hand(&self, event: BusEvent) -> oneshot::Receiver<()> {
        let (receipt, done) = oneshot::channel();
        // A reader that is gone drops the receipt, which says the same: it will do nothing more.
        drop(self.mailbox.send(Handed { event, receipt }));
        done
    }
}

fn message(channel: String, payload: &Bytes) -> BusEvent {
    BusEvent::Message(Published {
        channel,
        payload: payload.clone(),
    })
}

async fn all(receipts: Vec<oneshot::Receiver<()>>) {
    drop(join_all(receipts).await);
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
            return Err(Error::new(ErrorKind::Closed, "the bus was closed"));
        }
        Ok(())
    }
}

#[async_trait]
impl SignalBus for Connection {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<Receivers> {
        self.check_open()?;
        let Some(channel) = Channel::parse(channel) else {
            let text = format!("`{channel}` is no {{prefix}}:{{signal}}:{{sender}}");
            return Err(Error::new(ErrorKind::InvalidName, text));
        };
        self.shared.state().publish(channel, &payload)
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        self.check_open()?;
        let (mailbox, events) = mpsc::unbounded_channel();
        let mut state = self.shared.state();
        let id = state.new_id();
        state.subscriptions.push(Subscription {
            id,
            connection: self.id,
            pattern: pattern.to_owned(),
            mailbox,
        });
        Ok(Box::pin(Reader {
            shared: Arc::clone(&self.shared),
            id,
            events,
            receipt: None,
        }))
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
            .subscriptions
            .retain(|subscription| subscription.connection != self.id);
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

/// The reading end of a subscription; the subscription ends with it.
struct Reader {
    shared: Arc<Shared>,
    id: u64,
    events: mpsc::UnboundedReceiver<Handed>,
    /// Of the event that was read last.
    receipt: Option<oneshot::Sender<()>>,
}

impl Stream for Reader {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        self.receipt = None;
        let handed = std::task::ready!(self.events.poll_recv(cx));
        Poll::Ready(handed.map(|handed| {
            self.receipt = Some(handed.receipt);
            handed.event
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state
            .subscriptions
            .retain(|subscription| subscription.id != self.id);
    }
}
