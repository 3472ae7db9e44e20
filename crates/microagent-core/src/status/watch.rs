//! Asking all agents on a bus for their status.

use std::{collections::BTreeSet, fmt, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{AgentId, STATUS_VERSION, Status};
use crate::{
    Bus, BusEvent, Channel, Gap, Result, SubscriberCount, bus::check_received, text::excerpt,
};

/// The time after a question in which agents publish their status once a second.
pub const STATUS_LEASE: Duration = Duration::from_secs(10);

/// The version of questions and answers. That of the [`Status`] in an answer is independent of it.
const VERSION: u32 = 1;

/// A question, which all agents on the bus receive.
#[derive(Serialize, Deserialize)]
pub(super) struct Question {
    version: u32,
}

impl Question {
    /// Checks a question that was received.
    pub(super) fn check(payload: &[u8]) -> std::result::Result<(), String> {
        let question: Self = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        if question.version == VERSION {
            return Ok(());
        }
        Err(format!("version {}: expected {VERSION}", question.version))
    }
}

/// An answer.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    version: u32,
    id: &'a AgentId,
    status: &'a Status,
}

impl<'a> Answer<'a> {
    pub(super) fn of(id: &'a AgentId, status: &'a Status) -> Self {
        Self {
            version: VERSION,
            id,
            status,
        }
    }
}

/// An answer whose status is not read yet, because it may have another version.
#[derive(Deserialize)]
struct ReceivedAnswer<'a> {
    id: AgentId,
    #[serde(borrow)]
    status: &'a RawValue,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Asks all agents on a bus for their status, and receives their answers.
///
/// A [question](Self::ask) opens a lease of [`STATUS_LEASE`], during which each agent publishes its status at once and then once a
/// second. Ask again before it ends to go on. The answers also come for questions of others. The agents must have the prefix of
/// this bus.
///
/// ```
/// use std::sync::Arc;
/// use microagent_core::{Agent, Bus, MemoryBus, status::{AgentState, StatusWatch, WatchEvent}};
///
/// # use microagent_core::{Blueprint, Context, MicroAgent, Result};
/// # struct Ticker;
/// # impl MicroAgent for Ticker {
/// #     const NAME: &'static str = "Ticker";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = Bus::new(Arc::new(MemoryBus::new()));
/// let agent = Agent::new(Ticker).bus(bus.clone()).start().await?;
///
/// let mut watch = StatusWatch::open(&bus).await?;
/// # while watch.agents().await?.is_empty() { tokio::task::yield_now().await; }
/// watch.ask().await?;
/// let Some(WatchEvent::Answer(answer)) = watch.next().await else { panic!("expected an answer") };
/// assert_eq!(answer.id.agent, "Ticker");
/// assert_eq!(answer.status.unwrap().state, AgentState::Ready);
/// # agent.stop().await
/// # }).unwrap();
/// ```
pub struct StatusWatch {
    bus: Bus,
    answers: BoxStream<'static, BusEvent>,
}

/// An event of a [`StatusWatch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// An agent has answered.
    Answer(AgentAnswer),
    /// Something else was published on the channel of the answers: why it is not an answer.
    Invalid(String),
    /// The connection was lost, for this reason.
    Lost(String),
    /// The connection is back. Answers that were published meanwhile are lost.
    Gap(Gap),
}

/// The answer of an agent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentAnswer {
    /// The agent.
    pub id: AgentId,
    /// Its status, or why the status cannot be read: the agent has another version of it.
    pub status: std::result::Result<Box<Status>, String>,
}

impl StatusWatch {
    /// Subscribes to the answers.
    ///
    /// # Errors
    /// Those of [`SignalBus::subscribe`](crate::SignalBus::subscribe).
    pub async fn open(bus: &Bus) -> Result<Self> {
        let answers = Channel::status_answers(bus.prefix());
        Ok(Self {
            bus: bus.clone(),
            answers: bus.driver().subscribe(&answers).await?,
        })
    }

    /// Asks all agents, and returns how many subscriptions the question has reached.
    ///
    /// # Errors
    /// Those of [`SignalBus::publish`](crate::SignalBus::publish).
    pub async fn ask(&self) -> Result<SubscriberCount> {
        let channel = Channel::status_questions(self.bus.prefix());
        let question = Question { version: VERSION };
        let payload = serde_json::to_vec(&question).map_err(|error| {
            crate::Error::new(crate::ErrorKind::InvalidPayload, error.to_string())
        })?;
        self.bus.driver().publish(&channel, payload.into()).await
    }

    /// Returns the agents that are connected to the bus, as its server knows them: also those that do not run and cannot
    /// answer.
    ///
    /// # Errors
    /// Those of [`SignalBus::subscribed`](crate::SignalBus::subscribed).
    pub async fn agents(&self) -> Result<Vec<AgentId>> {
        let head = Channel::status_agents(self.bus.prefix());
        let channels = self.bus.driver().subscribed(&head).await?;
        let names = channels
            .iter()
            .filter_map(|channel| channel.strip_prefix(&*head));
        // A program that is not an agent may subscribe to anything.
        let mut agents: Vec<AgentId> = names.filter_map(|name| name.parse().ok()).collect();
        agents.sort();
        Ok(agents)
    }

    /// Returns the prefixes of the agents that are connected to the bus's server, whatever the prefix of this bus is.
    ///
    /// # Errors
    /// Those of [`SignalBus::subscribed`](crate::SignalBus::subscribed).
    pub async fn prefixes(&self) -> Result<BTreeSet<String>> {
        let behind_prefix = Channel::status_agents("");
        let channels = self.bus.driver().subscribed("").await?;
        let split = channels
            .iter()
            .filter_map(|channel| channel.split_once(&behind_prefix));
        let of_agents = split.filter(|(_, name)| name.parse::<AgentId>().is_ok());
        Ok(of_agents.map(|(prefix, _)| prefix.to_owned()).collect())
    }

    /// Waits for the next event; `None` if the bus was closed.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        Some(match self.answers.next().await? {
            BusEvent::Message(message) => read(&message.payload),
            BusEvent::Lost(reason) => WatchEvent::Lost(reason),
            BusEvent::Gap(gap) => WatchEvent::Gap(gap),
        })
    }
}

impl fmt::Debug for StatusWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusWatch")
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

fn read(payload: &[u8]) -> WatchEvent {
    let invalid = |error: String| {
        WatchEvent::Invalid(format!("{error}; it starts with `{}`", excerpt(payload)))
    };
    if let Err(error) = check_received(payload.len()) {
        return invalid(error.to_string());
    }
    match serde_json::from_slice::<Version>(payload) {
        Ok(Version { version: VERSION }) => {}
        Ok(Version { version }) => {
            return invalid(format!("version {version}: expected {VERSION}"));
        }
        Err(error) => return invalid(error.to_string()),
    }
    match serde_json::from_slice::<ReceivedAnswer<'_>>(payload) {
        Ok(answer) => WatchEvent::Answer(AgentAnswer {
            id: answer.id,
            status: status_of(answer.status),
        }),
        Err(error) => invalid(error.to_string()),
    }
}

fn status_of(status: &RawValue) -> std::result::Result<Box<Status>, String> {
    let other = |error: serde_json::Error| format!("cannot read its status: {error}");
    match serde_json::from_str::<Version>(status.get()) {
        Ok(Version {
            version: STATUS_VERSION,
        }) => serde_json::from_str(status.get())
            .map(Box::new)
            .map_err(other),
        Ok(Version { version }) => Err(format!(
            "its status has version {version}, and this program reads version {STATUS_VERSION}"
        )),
        Err(error) => Err(other(error)),
    }
}
