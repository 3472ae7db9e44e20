//! The context of an agent, which all its handlers share: its bus, its broker, its settings, and the request to stop.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{self, Poll},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::warn;

use super::{Manifest, settings};
use crate::{
    Broker, Bus, Error, ErrorKind, Result,
    stats::AgentStats,
    status::{Health, Phase, Status, StatusSource},
};

/// The context of an agent, the same for all its handlers. Cloning is cheap.
///
/// ```
/// use microagent_core::{Agent, Blueprint, Context, ErrorKind, MicroAgent, Result};
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     secret: String,
/// }
///
/// # struct Ticker;
/// # impl MicroAgent for Ticker {
/// #     const NAME: &'static str = "Ticker";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new(Ticker).settings(serde_json::json!({"secret": "x"})).start().await?;
/// let cx = agent.context(); // handlers take it as `cx: &Context`
///
/// let Settings { secret } = cx.settings()?;
/// assert_eq!((cx.name(), secret.as_str()), ("Ticker", "x"));
/// assert_eq!(cx.bus().ready().await.unwrap_err().kind(), ErrorKind::Configuration); // it was given none
///
/// let shutdown = cx.shutdown();
/// agent.stop().await?;
/// shutdown.await;
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Context(Arc<Surroundings>);

pub(crate) struct Surroundings {
    pub(crate) name: Arc<str>,
    pub(crate) bus: Option<Bus>,
    pub(crate) broker: Option<Broker>,
    pub(crate) absent_bus: Bus,
    pub(crate) absent_broker: Broker,
    pub(crate) settings: Value,
    pub(crate) settings_places: BTreeMap<String, String>,
    pub(crate) manifest: Manifest,
    pub(crate) stats: AgentStats,
    pub(crate) health: Health,
    pub(crate) stopping: CancellationToken,
    pub(crate) is_stopping: AtomicBool,
}

impl Context {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new(surroundings))
    }

    /// Returns the name of this agent in its group, or the name of its type if the group has not given one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the signal bus. An agent that was started without one gets a bus on which every operation fails with
    /// [`ErrorKind::Configuration`].
    #[must_use]
    pub fn bus(&self) -> &Bus {
        self.0.bus.as_ref().unwrap_or(&self.0.absent_bus)
    }

    /// Returns the queue broker. An agent that was started without one gets a broker on which every operation fails with
    /// [`ErrorKind::Configuration`].
    #[must_use]
    pub fn broker(&self) -> &Broker {
        self.0.broker.as_ref().unwrap_or(&self.0.absent_broker)
    }

    /// Returns the agent's settings as a value of this type. A text becomes a number or a truth value if a field has that
    /// type, as `"${PORT}"` in a settings file needs it; not inside of enums, `#[serde(flatten)]` and untagged types. A key that is not
    /// a field, but nearly the name of a field that was not given, is logged as a warning.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a value does not fit. The error names the key and, if the settings are from a settings
    /// file, the file and the line.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        let agent = self.name();
        let (settings, misspelt) = settings::read(&self.0.settings, &self.0.settings_places)
            .map_err(|error| {
                let text = format!("invalid settings of agent `{agent}`: {error}");
                Error::new(ErrorKind::Configuration, text)
            })?;
        for settings::Misspelt { key, field, place } in misspelt {
            warn!(
                agent,
                place,
                setting = key,
                did_you_mean = field,
                "unknown setting"
            );
        }
        Ok(settings)
    }

    /// Returns a future that ends when the agent is asked to stop; servers pass it to the code that they run.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::of(self.0.stopping.clone())
    }

    /// Returns the status of the agent now, with the numbers of its queues as they were last asked for.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status_source().status()
    }

    /// Returns a handle that takes the status on any thread, also while the agent's runtime is blocked.
    #[must_use]
    pub fn status_source(&self) -> StatusSource {
        StatusSource::new(self.clone())
    }

    /// Returns the agent as JSON: its name, the addresses of its bus and broker, its handlers and their counters, the gaps of its
    /// bus, and the strays: signals on invalid channels, which all agents on the bus handle share. Credentials are left out.
    #[must_use]
    pub fn info(&self) -> Value {
        let here = &self.0;
        let mut info = json!({
            "name": here.manifest.name,
            "agent": &*here.name,
            "bus": here.bus.as_ref().map(ToString::to_string),
            "broker": here.broker.as_ref().map(ToString::to_string),
        });
        if let (Some(info), Ok(Value::Object(handlers))) =
            (info.as_object_mut(), serde_json::to_value(&here.manifest))
        {
            info.extend(handlers.into_iter().filter(|(key, _)| key != "name"));
            info.insert("stats".to_owned(), stats_of(&self.status()));
        }
        info
    }

    pub(crate) fn stats(&self) -> &AgentStats {
        &self.0.stats
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// Returns the bus that the agent was given.
    pub(crate) fn own_bus(&self) -> Option<&Bus> {
        self.0.bus.as_ref()
    }

    /// Returns the broker that the agent was given.
    pub(crate) fn own_broker(&self) -> Option<&Broker> {
        self.0.broker.as_ref()
    }

    /// Returns the token that is cancelled by [`stop`](Self::stop), to wait for it.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Asks the agent to stop.
    pub(crate) fn stop(&self) {
        self.0.health.enter(Phase::Draining);
        self.0.is_stopping.store(true, Ordering::Release);
        self.0.stopping.cancel();
    }

    /// Returns whether the agent was asked to stop. It is read for each message, and the token would take a lock.
    pub(crate) fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Acquire)
    }
}

/// Returns the counters of a status as a table by handler. A handler with several sources has one entry.
fn stats_of(status: &Status) -> Value {
    let mut stats: Map<String, Value> = Map::new();
    for handler in &status.handlers {
        let counts = [
            ("done", handler.done),
            ("failed", handler.failed),
            ("timed_out", handler.timed_out),
            ("panicked", handler.panicked),
            ("undecodable", handler.undecodable),
            ("dropped", handler.dropped),
            ("dead_lettered", handler.dead_lettered),
        ];
        let entry = stats.entry(&*handler.name).or_insert_with(|| json!({}));
        for (name, count) in counts
            .into_iter()
            .filter(|(name, count)| *name == "done" || *count > 0)
        {
            let before = entry[name].as_u64().unwrap_or(0);
            entry[name] = json!(before + count);
        }
    }
    for (name, count) in [("gaps", status.gaps.count), ("strays", status.strays)] {
        if count > 0 {
            stats.insert(name.to_owned(), json!(count));
        }
    }
    Value::Object(stats)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.0.name)
            .field("bus", &self.0.bus)
            .field("broker", &self.0.broker)
            .finish_non_exhaustive()
    }
}

/// A future that ends when the agent is asked to stop, to await or to pass to a server; clones end together.
pub struct Shutdown {
    token: CancellationToken,
    wait: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Shutdown {
    pub(crate) fn of(token: CancellationToken) -> Self {
        let wait = Box::pin(token.clone().cancelled_owned());
        Self { token, wait }
    }

    /// Returns whether the stop has been requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }
}

impl Clone for Shutdown {
    fn clone(&self) -> Self {
        Self::of(self.token.clone())
    }
}

impl Future for Shutdown {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        self.wait.as_mut().poll(cx)
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("requested", &self.is_requested())
            .finish()
    }
}
