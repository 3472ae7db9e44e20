//! An agent before its start: its object, its connections, and the kinds of handlers that are to start.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::{MicroAgent, RunningAgent, lifecycle};
use crate::{Broker, Bus, Clock, Result, SystemClock, finite, status::StatusSlot};

/// The longest time for which a stopping agent finishes its work, unless the builder sets another.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// An agent before its start.
///
/// ```
/// use microagent_core::{Agent, Blueprint, Context, MicroAgent, Result};
///
/// # struct Ticker;
/// # impl MicroAgent for Ticker {
/// #     const NAME: &'static str = "Ticker";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new(Ticker).settings(serde_json::json!({"secret": "x"})).start().await?;
/// assert_eq!(agent.context().name(), "Ticker");
/// agent.stop().await
/// # }).unwrap();
/// ```
#[must_use = "an agent lives when it is started"]
pub struct Agent<A> {
    pub(crate) object: Option<A>,
    pub(crate) setup: Setup,
}

/// The parts of an agent besides its object.
pub(crate) struct Setup {
    pub(crate) name: Option<String>,
    pub(crate) bus: Option<Bus>,
    pub(crate) broker: Option<Broker>,
    /// An error if they cannot be written as JSON.
    pub(crate) settings: std::result::Result<Value, String>,
    /// The places of the settings by their keys, as in [`Wiring`](super::Wiring).
    pub(crate) settings_places: BTreeMap<String, String>,
    /// Options by handler; an error if they cannot be written as JSON.
    pub(crate) handlers: std::result::Result<Value, String>,
    pub(crate) zone: Option<String>,
    pub(crate) grace: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) periodic_tasks: bool,
    pub(crate) receiving_signals: bool,
    pub(crate) consuming_messages: bool,
    pub(crate) servers_running: bool,
    pub(crate) status_slot: StatusSlot,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            name: None,
            bus: None,
            broker: None,
            settings: Ok(Value::Null),
            settings_places: BTreeMap::new(),
            handlers: Ok(Value::Null),
            zone: None,
            grace: DEFAULT_GRACE,
            clock: Arc::new(SystemClock),
            periodic_tasks: true,
            receiving_signals: true,
            consuming_messages: true,
            servers_running: true,
            status_slot: StatusSlot::new(),
        }
    }
}

impl<A: MicroAgent> Agent<A> {
    /// Creates an agent that is this object.
    pub fn new(object: A) -> Self {
        Self {
            object: Some(object),
            setup: Setup::default(),
        }
    }

    /// Creates an agent whose object is built at its start, by its `#[on(create)]` or by `Default`.
    pub fn create() -> Self {
        Self {
            object: None,
            setup: Setup::default(),
        }
    }

    /// Sets the signal bus; an agent with receivers needs one.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.setup.bus = Some(bus);
        self
    }

    /// Sets the queue broker; an agent with consumers needs one.
    pub fn broker(mut self, broker: Broker) -> Self {
        self.setup.broker = Some(broker);
        self
    }

    /// Sets the name in logs and `info()`. Default: the name of the type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.setup.name = Some(name.into());
        self
    }

    /// Sets the settings that [`Context::settings`](super::Context::settings) returns. Default: `{}`. The start fails if they
    /// cannot be written as JSON, as NaN and infinite numbers cannot.
    pub fn settings(mut self, settings: impl Serialize) -> Self {
        self.setup.settings = as_json(&settings);
        self
    }

    /// Sets options of handlers by their names, over those of the attributes: `{"send_email": {"timeout": 30}}`. All options but
    /// `autoack` can be set, by the names that they have in the attribute, and `cron` for the schedule. The start fails if
    /// they do not fit, or cannot be written as JSON.
    pub fn handlers(mut self, options: impl Serialize) -> Self {
        self.setup.handlers = as_json(&options);
        self
    }

    /// Sets the time zone of cron tasks that do not set one. Default: UTC.
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        self.setup.zone = Some(name.into());
        self
    }

    /// Sets the longest time for which handlers go on after the stop was requested. Default: 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.setup.grace = grace;
        self
    }

    /// Sets the wall clock of cron tasks. Default: that of the machine.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.setup.clock = Arc::new(clock);
        self
    }

    /// Sets if periodic and cron tasks run. Default: true.
    pub fn enable_periodic_tasks(mut self, enable: bool) -> Self {
        self.setup.periodic_tasks = enable;
        self
    }

    /// Sets if signals are received. Default: true.
    pub fn enable_receiving_signals(mut self, enable: bool) -> Self {
        self.setup.receiving_signals = enable;
        self
    }

    /// Sets if messages are consumed. Default: true.
    pub fn enable_consuming_messages(mut self, enable: bool) -> Self {
        self.setup.consuming_messages = enable;
        self
    }

    /// Sets if servers run. Default: true.
    pub fn enable_servers_running(mut self, enable: bool) -> Self {
        self.setup.servers_running = enable;
        self
    }

    /// Sets a place in which the start puts the agent's [`StatusSource`](crate::status::StatusSource) before the first hook
    /// runs, so that the status can be taken while the agent starts.
    pub fn status_slot(mut self, slot: StatusSlot) -> Self {
        self.setup.status_slot = slot;
        self
    }

    /// Starts the agent and returns when it is live: hooks ran, signals are received, messages are consumed. Several
    /// agents can run in one process.
    ///
    /// Dropping the future ends what was started.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if it has receivers and no bus, or consumers and no
    /// broker, and the errors of hooks and drivers. After an error, no part of the agent keeps running.
    pub async fn start(self) -> Result<RunningAgent<A>> {
        lifecycle::start(self.object, self.setup).await
    }
}

/// Returns a value as JSON. Numbers that JSON does not have are errors; otherwise they would become `null`.
fn as_json(value: &impl Serialize) -> std::result::Result<Value, String> {
    finite::check_all(value).map_err(|error| error.to_string())?;
    serde_json::to_value(value).map_err(|error| error.to_string())
}

impl<A> fmt::Debug for Agent<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("type", &std::any::type_name::<A>())
            .field("name", &self.setup.name)
            .field("bus", &self.setup.bus)
            .field("broker", &self.setup.broker)
            .finish_non_exhaustive()
    }
}
