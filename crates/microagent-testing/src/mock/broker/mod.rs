//! The broker mock, for the test. Its driver, for the agent, is in `wire`.

mod wire;

use std::{fmt, sync::Arc};

use microagent_core::{
    Broker, BrokerOptions, Caps, Error, ErrorKind, Message, Queue, Result, Settlement,
    encode_payload,
};
use serde::Serialize;
use tokio::sync::oneshot;

use self::wire::Shared;
use super::record::{SentMessage, SettledMessage, listed};

/// A queue broker for tests: it records what agents send, delivers the messages that the test pushes to their consumers, and
/// records each settlement. Clones are one mock.
///
/// The mock does not deliver what an agent sends; only [`push`](Self::push) reaches consumers.
///
/// ```
/// use microagent_core::{Error, ErrorKind, Queue};
/// use microagent_testing::BrokerMock;
/// use serde_json::json;
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mock = BrokerMock::new();
/// let broker = mock.broker();
/// broker.send(MAILER, &json!({"text": "hi"})).await?;
/// assert_eq!(mock.sent_to("mailer")[0].body, json!({"text": "hi"}));
///
/// mock.fail_next_send(Error::new(ErrorKind::Unavailable, "the server is gone"));
/// let error = broker.send(MAILER, &json!({"text": "hi"})).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct BrokerMock(Arc<Shared>);

impl BrokerMock {
    /// Creates a mock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a mock whose brokers have these capabilities, for example those of the driver that the agent uses in
    /// production: an option that the driver refuses is then refused in the test.
    ///
    /// ```
    /// use microagent_core::{Error, ErrorKind, MemoryBroker, Queue, QueueBroker};
    /// use microagent_testing::BrokerMock;
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = BrokerMock::with_caps(MemoryBroker::new().caps());
    /// let keyed = mock.broker().send(Queue::new("mailer"), &json!({})).key("user 7").await;
    /// assert_eq!(keyed.unwrap_err().kind(), ErrorKind::Unsupported);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with_caps(caps: Caps) -> Self {
        let mock = Self::default();
        mock.0.state().caps = caps;
        mock
    }

    /// Returns a broker on this mock, for an agent or a function under test. Each is a connection of its own. Unless the mock was
    /// created [with the capabilities](Self::with_caps) of a driver, it accepts and records every option.
    #[must_use]
    pub fn broker(&self) -> Broker {
        self.broker_with(BrokerOptions::default())
    }

    /// Returns a broker on this mock with declarations.
    #[must_use]
    pub fn broker_with(&self, options: BrokerOptions) -> Broker {
        Broker::with_options(Arc::new(wire::connect(Arc::clone(&self.0))), options)
    }

    /// Delivers a message to the agent that consumes the queue. When this returns, the consumer has taken the message, so a `stop`
    /// of the agent waits for its handler. If the consumer is at its limit of concurrency, this waits until a handler ends.
    ///
    /// # Errors
    /// [`ErrorKind::QueueNotFound`] if no agent consumes the queue, with the queues that are consumed;
    /// [`ErrorKind::InvalidPayload`] for a body that is not a JSON object (a raw one can be [pushed as a
    /// message](Self::push_message)).
    pub async fn push(&self, queue: &str, body: impl Serialize) -> Result<Pushed> {
        let body = encode_payload(&body)?;
        self.push_message(Message::new(queue, body)).await
    }

    /// Delivers a message as it is, with its headers, its attempt and its crashes, to the agent that consumes its queue.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_message(&self, message: Message) -> Result<Pushed> {
        let (taken, settled) = {
            let mut state = self.0.state();
            match state.deliver(&self.0, &message) {
                Some(handed) => handed,
                None => return Err(unconsumed(message.queue(), state.consumed_queues())),
            }
        };
        // If the consumer ends without taking the delivery, its settlement is `Return`.
        drop(taken.await);
        Ok(Pushed(settled))
    }

    /// Makes the next message that an agent sends fail with this error; it is not recorded. Several calls fail several messages.
    pub fn fail_next_send(&self, error: Error) {
        self.0.state().failures.push_back(error);
    }

    /// Sets the length that the mock reports for a queue. Default: the number of messages that were sent to it.
    pub fn set_length(&self, queue: &str, length: u64) {
        self.0.state().lengths.insert(queue.to_owned(), length);
    }

    /// Returns the queues whose length was asked for, in the order of the requests.
    /// An agent whose consumer has work asks once a minute, too.
    ///
    /// ```
    /// use microagent_core::{Error, Queue};
    /// use microagent_testing::BrokerMock;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = BrokerMock::new();
    /// mock.set_length("mailer", 3);
    /// assert_eq!(mock.broker().length(Queue::new("mailer")).await?, 3);
    /// assert_eq!(mock.lengths_asked(), ["mailer"]);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn lengths_asked(&self) -> Vec<String> {
        self.0.state().lengths_asked.clone()
    }

    /// Returns the queues that were declared, in their order, with their exchanges and topics. Consuming a queue does not
    /// declare it.
    ///
    /// ```
    /// use microagent_core::{Error, Queue};
    /// use microagent_testing::BrokerMock;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = BrokerMock::new();
    /// mock.broker().declare(Queue::new("mailer")).await?;
    /// assert_eq!(mock.declared()[0].name(), "mailer");
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn declared(&self) -> Vec<Queue> {
        self.0.state().declared.clone()
    }

    /// Returns all messages that were sent, in their order.
    #[must_use]
    pub fn sent(&self) -> Vec<SentMessage> {
        self.0.state().sent.clone()
    }

    /// Returns the messages that were sent to this queue.
    #[must_use]
    pub fn sent_to(&self, queue: &str) -> Vec<SentMessage> {
        let sent = self.sent().into_iter();
        sent.filter(|message| message.queue == queue).collect()
    }

    /// Returns the messages that were pushed and settled, in the order of their settlements.
    #[must_use]
    pub fn settled(&self) -> Vec<SettledMessage> {
        self.0.state().settled.clone()
    }

    /// Returns the messages that were pushed into this queue and settled.
    #[must_use]
    pub fn settled_of(&self, queue: &str) -> Vec<SettledMessage> {
        let settled = self.settled().into_iter();
        settled
            .filter(|settled| settled.message.queue() == queue)
            .collect()
    }
}

fn unconsumed(queue: &str, consumed: Vec<String>) -> Error {
    let consumed = listed(consumed);
    Error::new(
        ErrorKind::QueueNotFound,
        format!("no agent on this broker consumes `{queue}` {consumed}"),
    )
}

impl fmt::Debug for BrokerMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("BrokerMock")
            .field("sent", &state.sent)
            .field("settled", &state.settled)
            .finish_non_exhaustive()
    }
}

/// A message that a consumer has taken. The mock records its settlement whether or not this is used.
#[derive(Debug)]
pub struct Pushed(oneshot::Receiver<Settlement>);

impl Pushed {
    /// Waits for the settlement of the message.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use microagent_core::{ConsumeOptions, Error, Queue, Settlement};
    /// use microagent_testing::BrokerMock;
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let mock = BrokerMock::new();
    /// let broker = mock.broker();
    /// let mut mails = broker.driver().consume(&Queue::new("mailer"), ConsumeOptions::default()).await?;
    /// let consumer = async { mails.next().await.expect("an open broker").ack().await };
    ///
    /// let (pushed, acked) = tokio::join!(mock.push("mailer", json!({"text": "hi"})), consumer);
    /// acked?;
    /// assert_eq!(pushed?.settlement().await, Settlement::Ack);
    /// # Ok::<(), Error>(()) }).unwrap();
    /// ```
    pub async fn settlement(self) -> Settlement {
        // A delivery settles itself when it is dropped; a leaked one never does.
        match self.0.await {
            Ok(settlement) => settlement,
            Err(_) => std::future::pending().await,
        }
    }
}
