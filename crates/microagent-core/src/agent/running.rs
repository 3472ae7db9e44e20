//! The handle of an agent that lives.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{Context, lifecycle::Life};
use crate::{
    Result,
    status::{Status, StatusSource},
};

/// A handle of an agent that lives.
///
/// The agent stops with a drain when [`stop`](Self::stop) is called, and by itself when a server fails or asks for it, or
/// when its bus or broker is closed under it; nobody has to wait for [`stopped`](Self::stopped). Dropping the handle ends
/// the agent at once: no drain, no `pre_stop`, running handlers are cut off and their messages go back to their queues.
/// That includes a stop that is under way.
///
/// ```
/// use microagent_core::{Agent, Blueprint, Context, MicroAgent, Result, ServerInterrupt};
///
/// struct Ticker;
///
/// impl MicroAgent for Ticker {
///     const NAME: &'static str = "Ticker";
///
///     fn blueprint() -> Blueprint<Self> {
///         Blueprint::new().server("once", |_agent, _cx| Box::pin(async { Err(ServerInterrupt.into()) }))
///     }
///
///     async fn create(_cx: &Context) -> Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new(Ticker).start().await?;
/// assert_eq!(agent.info()["hooks"][0]["name"], "once");
/// agent.stopped().await?; // its server has asked for it
/// agent.stop().await
/// # }).unwrap();
/// ```
#[must_use = "the agent ends at once when this is dropped; keep it, and stop it when it is no longer wanted"]
pub struct RunningAgent<A: ?Sized> {
    leash: Leash,
    agent: Arc<A>,
}

/// Ends the agent when it is dropped.
struct Leash(Arc<Life>);

impl<A> RunningAgent<A> {
    pub(crate) fn new(agent: Arc<A>, life: Arc<Life>) -> Self {
        Self {
            leash: Leash(life),
            agent,
        }
    }

    /// The same agent without its type.
    pub fn erase(self) -> RunningAgent<dyn std::any::Any + Send + Sync>
    where
        A: Send + Sync + 'static,
    {
        RunningAgent {
            leash: self.leash,
            agent: self.agent,
        }
    }
}

impl<A: ?Sized> RunningAgent<A> {
    /// Returns the object itself, to look at its state.
    #[must_use]
    pub fn agent(&self) -> &A {
        &self.agent
    }

    /// Returns the context of its handlers.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.leash.0.cx
    }

    /// Returns the agent and the counters of its handlers as JSON.
    #[must_use]
    pub fn info(&self) -> Value {
        self.leash.0.cx.info()
    }

    /// Returns the status of the agent now, with the numbers of its queues as they were last asked for.
    #[must_use]
    pub fn status(&self) -> Status {
        self.leash.0.cx.status()
    }

    /// Returns a handle that takes the status on any thread, also while the agent's runtime is blocked.
    #[must_use]
    pub fn status_source(&self) -> StatusSource {
        self.leash.0.cx.status_source()
    }

    /// Waits until the agent has stopped: because a server ended it, because its bus or broker was closed, or because
    /// [`stop`](Self::stop) was called. The agent stops by itself; this only observes it.
    ///
    /// # Errors
    /// The error of a server, but [`ServerInterrupt`](crate::ServerInterrupt) is `Ok`; and
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), with the channel or the queue, if its subscription or consumer has ended.
    pub async fn stopped(&self) -> Result<()> {
        self.leash.0.stopped.cancelled().await;
        self.leash.0.result()
    }

    /// Stops the agent: it takes no new work, `pre_stop` runs, and handlers that run may finish within the grace period; the
    /// other messages return to their queues. Returns when this stop, or one that was already in progress, is done. Its bus
    /// and broker stay open, because others may use them.
    ///
    /// # Errors
    /// The error that the agent has ended with, as [`stopped`](Self::stopped) returns it.
    pub async fn stop(self) -> Result<()> {
        self.leash.0.stop().await;
        self.stopped().await
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<A: ?Sized> fmt::Debug for RunningAgent<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningAgent")
            .field("cx", &self.leash.0.cx)
            .finish_non_exhaustive()
    }
}
