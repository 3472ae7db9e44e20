//! An agent type as a value: what a launcher keeps in its list.

use std::{any::Any, collections::BTreeMap, fmt, future::Future, pin::Pin, time::Duration};

use serde_json::Value;

use super::{Agent, Manifest, MicroAgent, RunningAgent, builder::DEFAULT_GRACE};
use crate::{Broker, Bus, Result, status::StatusSlot};

/// A type that can be started by its name.
///
/// ```
/// use microagent_core::{AgentType, Blueprint, Context, MicroAgent, Result, Wiring};
///
/// # struct Ticker;
/// # impl MicroAgent for Ticker {
/// #     const NAME: &'static str = "Ticker";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let known = [AgentType::of::<Ticker>()];
/// let ticker = known.iter().find(|known| known.name() == "Ticker").expect("it stands in the list");
/// assert!(ticker.manifest().consumers.is_empty());
///
/// let mut wiring = Wiring::named("front");
/// wiring.settings = serde_json::json!({"secret": "x"});
/// let agent = ticker.start(wiring).await?;
/// assert_eq!(agent.context().name(), "front");
/// agent.stop().await
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct AgentType {
    name: &'static str,
    manifest: fn() -> Manifest,
    start: fn(Wiring) -> Starting,
}

type Starting = Pin<Box<dyn Future<Output = Result<RunningAgent<dyn Any + Send + Sync>>> + Send>>;

/// The name, connections and settings that a launcher gives an agent at its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Wiring {
    /// The agent's name in its group.
    pub name: String,
    /// Its bus.
    pub bus: Option<Bus>,
    /// Its broker.
    pub broker: Option<Broker>,
    /// Its settings, an object.
    pub settings: Value,
    /// The place of each value of the settings, such as `settings.toml:12: agent.mailer.settings.port`, by its key in the
    /// settings (`port`, `smtp.port`, `ports[0]`; the empty key is the whole). Errors about settings name these places.
    pub settings_places: BTreeMap<String, String>,
    /// Options of its handlers, as [`Agent::handlers`] takes them.
    pub handlers: Value,
    /// The zone of its cron tasks, as [`Agent::zone`] takes it.
    pub zone: Option<String>,
    /// The longest time for finishing its work when it stops. Default: 30 s.
    pub grace: Duration,
    /// The place for its status, as [`Agent::status_slot`] takes it.
    pub status_slot: StatusSlot,
}

impl Wiring {
    /// Creates a wiring without connections and settings, and with the default grace of 30 s.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            bus: None,
            broker: None,
            settings: Value::Object(serde_json::Map::new()),
            settings_places: BTreeMap::new(),
            handlers: Value::Null,
            zone: None,
            grace: DEFAULT_GRACE,
            status_slot: StatusSlot::new(),
        }
    }
}

impl AgentType {
    /// Returns this type as a value.
    #[must_use]
    pub fn of<A: MicroAgent>() -> Self {
        Self {
            name: A::NAME,
            manifest: || Manifest {
                creation_problem: A::creation_problem(),
                ..A::blueprint().manifest()
            },
            start: |wiring| Box::pin(start::<A>(wiring)),
        }
    }

    /// Returns the name of the type, `backend` in the settings.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the handlers of the type, with their options.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        (self.manifest)()
    }

    /// Builds and starts one agent of the type.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub async fn start(&self, wiring: Wiring) -> Result<RunningAgent<dyn Any + Send + Sync>> {
        (self.start)(wiring).await
    }
}

async fn start<A: MicroAgent>(wiring: Wiring) -> Result<RunningAgent<dyn Any + Send + Sync>> {
    let mut agent = Agent::<A>::create()
        .name(wiring.name)
        .settings(wiring.settings)
        .handlers(wiring.handlers)
        .grace(wiring.grace)
        .status_slot(wiring.status_slot);
    agent.setup.settings_places = wiring.settings_places;
    agent.setup.zone = wiring.zone;
    agent.setup.bus = wiring.bus;
    agent.setup.broker = wiring.broker;
    Ok(agent.start().await?.erase())
}

impl fmt::Debug for AgentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentType").field(&self.name).finish()
    }
}
