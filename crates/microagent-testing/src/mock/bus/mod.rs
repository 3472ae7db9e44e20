//! The bus mock, for the test. Its driver, for the agent, is in `wire`.

mod wire;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use microagent_core::{
    Answer, Bus, BusEvent, BusOptions, Channel, Error, ErrorKind, Gap, Result, Signal,
    encode_payload,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::timeout};

use self::wire::{ConfiguredAnswer, Shared};
use super::connection::Connection;
use super::record::{SentSignal, listed};

/// The timeout of [`BusMock::ask`], the default timeout of a call.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A signal bus for tests: it records what agents send and call, answers calls as configured, and delivers the signals
/// that the test emits. Clones are one mock.
///
/// The mock does not deliver what an agent sends; only [`emit`](Self::emit) and [`ask`](Self::ask) reach receivers.
///
/// ```
/// use microagent_core::{Error, ErrorKind};
/// use microagent_testing::BusMock;
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let mock = BusMock::new();
/// mock.answer("rpc_count", json!({"CommentAgent.count": 3}));
///
/// let bus = mock.bus();
/// let count = bus.undeclared("rpc_count")?;
/// assert_eq!(count.call("web", &json!({"user_id": 7})).await?.one::<u64>()?, 3);
/// assert_eq!(mock.called_of("rpc_count")[0].args, json!({"user_id": 7}));
///
/// // No answer is configured for this signal: the call waits for its timeout, which takes no time while time is paused.
/// let unanswered = bus.undeclared("rpc_unknown")?.call("web", &json!({})).await;
/// assert_eq!(unanswered.unwrap_err().kind(), ErrorKind::Timeout);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct BusMock(Arc<Shared>);

impl BusMock {
    /// Creates a mock without configured answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a bus on this mock, for an agent or a function under test. Each is a connection of its own.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::new(self.connect())
    }

    /// Returns a bus on this mock with a prefix, declarations, or strict payloads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for a prefix that a channel cannot contain.
    pub fn bus_with(&self, options: BusOptions) -> Result<Bus> {
        Bus::with_options(self.connect(), options)
    }

    /// Delivers a signal to the agents on this mock, whatever their prefix, as if another process had sent
    /// it. When this returns, their receivers have started, so a `stop` of the agent waits for them.
    ///
    /// # Errors
    /// [`ErrorKind::NoResponders`] if no agent receives the signal, with the signals that are received;
    /// [`ErrorKind::InvalidPayload`] for arguments that are not a JSON object, [`ErrorKind::InvalidName`] for a sender that a
    /// channel cannot contain.
    pub async fn emit(&self, name: &str, sender: &str, args: impl Serialize) -> Result<()> {
        self.deliver(name, sender, None, encode_payload(&args)?)?
            .await;
        Ok(())
    }

    /// Delivers a declared signal, as [`emit`](Self::emit) does.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub async fn emit_signal<S: Signal>(&self, sender: &str, signal: S) -> Result<()> {
        self.emit(S::NAME, sender, signal).await
    }

    /// Calls the agents on this mock and returns their answer.
    ///
    /// # Errors
    /// As [`emit`](Self::emit); [`ErrorKind::Timeout`] if there is no answer within 60 s.
    pub async fn ask(&self, name: &str, sender: &str, args: impl Serialize) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let id = self.0.state().expect_answer(reply);
        self.deliver(name, sender, Some(&id), encode_payload(&args)?)?
            .await;
        match timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(body)) => Answer::parse(&body),
            _ => Err(Error::new(
                ErrorKind::Timeout,
                format!("no agent answered `{name}` within {ANSWER_TIMEOUT:?}"),
            )),
        }
    }

    /// Answers calls of this signal, from now on, with this object of one process: `{"Agent.method": value}`.
    pub fn answer(&self, name: &str, values: Value) {
        self.answers(name, [values]);
    }

    /// Answers calls of this signal, from now on, with one object of each of several processes.
    pub fn answers(&self, name: &str, processes: impl IntoIterator<Item = Value>) {
        let bodies = processes.into_iter().map(|values| values.to_string());
        self.configure(
            name,
            ConfiguredAnswer::Answers(bodies.map(Into::into).collect()),
        );
    }

    /// Answers calls of this signal, from now on, with the failure of one receiver, `Agent.method`.
    pub fn answer_error(&self, name: &str, receiver: &str, message: &str) {
        let mut values = Map::new();
        values.insert(receiver.to_owned(), Value::Null);
        values.insert("$errors".to_owned(), json!({ receiver: message }));
        self.answer(name, Value::Object(values));
    }

    /// Makes calls of this signal fail, from now on, because there is no subscriber: [`ErrorKind::NoResponders`].
    pub fn answer_nobody(&self, name: &str) {
        self.configure(name, ConfiguredAnswer::NoSubscriber);
    }

    /// Makes the next signal or call that an agent sends fail with this error; it is not recorded. Several calls fail several of them.
    pub fn fail_next_send(&self, error: Error) {
        self.0.state().failures.push_back(error);
    }

    /// Reports a gap of this length to all buses on this mock: pending calls fail, and the `gap` hooks of the agents run. The
    /// method does not wait that long.
    pub async fn gap(&self, lasted: Duration) {
        let reason = "the test cut the connection".to_owned();
        let gap = Gap {
            lasted,
            reason: reason.clone(),
        };
        for event in [BusEvent::Lost(reason), BusEvent::Gap(gap)] {
            let handled = self.0.state().deliver_to_all(&event);
            handled.await;
        }
    }

    /// Returns all signals that were sent, without calls, in their order.
    #[must_use]
    pub fn sent(&self) -> Vec<SentSignal> {
        self.0.state().sent.clone()
    }

    /// Returns the signals of this name that were sent.
    #[must_use]
    pub fn sent_of(&self, name: &str) -> Vec<SentSignal> {
        of(name, self.sent())
    }

    /// Returns all signals that were called, by `call` or by `waiter`, in their order.
    #[must_use]
    pub fn called(&self) -> Vec<SentSignal> {
        self.0.state().called.clone()
    }

    /// Returns the signals of this name that were called.
    #[must_use]
    pub fn called_of(&self, name: &str) -> Vec<SentSignal> {
        of(name, self.called())
    }

    fn connect(&self) -> Arc<Connection<Shared>> {
        Arc::new(wire::connect(Arc::clone(&self.0)))
    }

    fn configure(&self, name: &str, answers: ConfiguredAnswer) {
        self.0.state().answers.insert(name.to_owned(), answers);
    }

    /// Delivers a signal; the future ends when the receivers have started.
    fn deliver(
        &self,
        signal: &str,
        sender: &str,
        id: Option<&str>,
        payload: Bytes,
    ) -> Result<impl Future<Output = ()> + use<>> {
        let channel = Channel {
            prefix: "",
            signal,
            sender,
            id,
        };
        if Channel::parse(&channel.to_string()) != Some(channel) {
            return Err(Error::new(
                ErrorKind::InvalidName,
                format!("invalid name in `{signal}` from `{sender}`: expected no `:` and no `#`"),
            ));
        }
        let mut state = self.0.state();
        state.deliver(channel, &payload).ok_or_else(|| {
            let received = listed(state.received_signals());
            Error::new(
                ErrorKind::NoResponders,
                format!("no agent on this bus receives `{signal}` {received}"),
            )
        })
    }
}

fn of(name: &str, signals: Vec<SentSignal>) -> Vec<SentSignal> {
    signals
        .into_iter()
        .filter(|signal| signal.name == name)
        .collect()
}

impl fmt::Debug for BusMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("BusMock")
            .field("sent", &state.sent)
            .field("called", &state.called)
            .finish_non_exhaustive()
    }
}
