//! The bus mock: what a test holds. Its driver, which is what the agent holds, is in `wire`.

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

/// How long [`BusMock::ask`] waits, as long as a call does unless it is told otherwise.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A signal bus for tests: it records what agents send and call, answers calls as it was told, and hands them the signals
/// that the test emits. Clones are one mock.
///
/// What an agent sends is recorded and reaches nobody; only [`emit`](Self::emit) and [`ask`](Self::ask) reach its receivers.
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
/// let question = bus.undeclared("rpc_count")?;
/// assert_eq!(question.call("web", &json!({"user_id": 7})).await?.one::<u64>()?, 3);
/// assert_eq!(mock.called_of("rpc_count")[0].args, json!({"user_id": 7}));
///
/// // Nothing was told of this one: the call waits for its timeout, which takes no time where time is paused.
/// let silence = bus.undeclared("rpc_unknown")?.call("web", &json!({})).await;
/// assert_eq!(silence.unwrap_err().kind(), ErrorKind::Timeout);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct BusMock(Arc<Shared>);

impl BusMock {
    /// A mock that has heard nothing and answers nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A bus on this mock, as an agent or a function under test takes it. Each is a connection of its own.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus::new(self.connect())
    }

    /// A bus on this mock with a prefix, declarations, or strict payloads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidName`] for a prefix that channels cannot carry.
    pub fn bus_with(&self, options: BusOptions) -> Result<Bus> {
        Bus::with_options(self.connect(), options)
    }

    /// Delivers a signal to the agents on this mock, under whatever prefix they listen, as if another process had sent
    /// it. When it returns their receivers have started, so that a `stop` of the agent waits for them.
    ///
    /// # Errors
    /// [`ErrorKind::NoResponders`] when no agent receives the signal, with those that are received;
    /// [`ErrorKind::InvalidPayload`] for arguments that are no JSON object, [`ErrorKind::InvalidName`] for a sender that a
    /// channel cannot carry.
    pub async fn emit(&self, name: &str, sender: &str, args: impl Serialize) -> Result<()> {
        self.deliver(name, sender, None, encode_payload(&args)?)?
            .await;
        Ok(())
    }

    /// [`emit`](Self::emit) for a declared signal.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    pub async fn emit_signal<S: Signal>(&self, sender: &str, signal: S) -> Result<()> {
        self.emit(S::NAME, sender, signal).await
    }

    /// Calls the agents on this mock and gives what they answered.
    ///
    /// # Errors
    /// As [`emit`](Self::emit); [`ErrorKind::Timeout`] when there is no answer within 60 s.
    pub async fn ask(&self, name: &str, sender: &str, args: impl Serialize) -> Result<Answer> {
        let (tell, told) = oneshot::channel();
        let id = self.0.state().expect_answer(tell);
        self.deliver(name, sender, Some(&id), encode_payload(&args)?)?
            .await;
        match timeout(ANSWER_TIMEOUT, told).await {
            Ok(Ok(body)) => Answer::parse(&body),
            _ => Err(Error::new(
                ErrorKind::Timeout,
                format!("no agent answered `{name}` within {ANSWER_TIMEOUT:?}"),
            )),
        }
    }

    /// Calls of this signal are answered by one process with this object, `{"Agent.method": value}`, from now on.
    pub fn answer(&self, name: &str, values: Value) {
        self.answers(name, [values]);
    }

    /// Calls of this signal are answered by several processes, each with one of these objects, from now on.
    pub fn answers(&self, name: &str, processes: impl IntoIterator<Item = Value>) {
        let bodies = processes.into_iter().map(|values| values.to_string());
        self.configure(
            name,
            ConfiguredAnswer::Answers(bodies.map(Into::into).collect()),
        );
    }

    /// Calls of this signal are answered with the failure of one receiver, `Agent.method`, from now on.
    pub fn answer_error(&self, name: &str, receiver: &str, message: &str) {
        let mut values = Map::new();
        values.insert(receiver.to_owned(), Value::Null);
        values.insert("$errors".to_owned(), json!({ receiver: message }));
        self.answer(name, Value::Object(values));
    }

    /// Calls of this signal find nobody who listens, from now on: [`ErrorKind::NoResponders`].
    pub fn answer_nobody(&self, name: &str) {
        self.configure(name, ConfiguredAnswer::Nobody);
    }

    /// The next signal or call that an agent sends fails with this error and is not recorded. Several failures wait in a row.
    pub fn fail_next_send(&self, error: Error) {
        self.0.state().failures.push_back(error);
    }

    /// Lets all buses on this mock be deaf for so long, as far as they are told: pending calls fail, and the `gap` hooks of
    /// the agents run.
    pub async fn gap(&self, lasted: Duration) {
        let reason = "the test cut the connection".to_owned();
        let gap = Gap {
            lasted,
            reason: reason.clone(),
        };
        for event in [BusEvent::Lost(reason), BusEvent::Gap(gap)] {
            let handed = self.0.state().deliver_to_all(&event);
            handed.await;
        }
    }

    /// All signals that were sent, calls not included, in their order.
    #[must_use]
    pub fn sent(&self) -> Vec<SentSignal> {
        self.0.state().sent.clone()
    }

    /// The signals of this name that were sent.
    #[must_use]
    pub fn sent_of(&self, name: &str) -> Vec<SentSignal> {
        of(name, self.sent())
    }

    /// All signals that were called, by `call` or by `waiter`, in their order.
    #[must_use]
    pub fn called(&self) -> Vec<SentSignal> {
        self.0.state().called.clone()
    }

    /// The signals of this name that were called.
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

    /// Hands a signal over; the future ends when the receivers have started.
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
                format!("signal `{signal}` from `{sender}`: a name may hold neither `:` nor `#`"),
            ));
        }
        let mut state = self.0.state();
        state.deliver(channel, &payload).ok_or_else(|| {
            let heard = listed(state.received_signals());
            Error::new(
                ErrorKind::NoResponders,
                format!("no agent on this bus receives `{signal}`: of received signals {heard}"),
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
