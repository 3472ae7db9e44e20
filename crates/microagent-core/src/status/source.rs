//! The handle that takes the status of an agent, on any thread.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use super::{AgentState, Status, round::Ticket, take};
use crate::Context;

/// Takes the [`Status`] of an agent. Cloning is cheap.
///
/// Every method may be called on any thread, and those that are not `async` work while the agent's runtime is blocked: they take
/// no lock that a handler may hold. Like a [`Context`], it keeps the handles of the agent's bus and broker.
///
/// ```
/// use microagent_core::{Agent, Blueprint, Context, MicroAgent, Result, status::AgentState};
///
/// # struct Ticker;
/// # impl MicroAgent for Ticker {
/// #     const NAME: &'static str = "Ticker";
/// #     fn blueprint() -> Blueprint<Self> { Blueprint::new() }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let agent = Agent::new(Ticker).start().await?;
/// let source = agent.status_source();
/// let status = std::thread::spawn(move || source.status()).join().unwrap();
/// assert_eq!((status.agent.as_str(), status.state), ("Ticker", AgentState::Ready));
/// agent.stop().await
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct StatusSource(Context);

/// A place for the [`StatusSource`] of an agent that is about to start, so that its status can be taken while it starts. Clones
/// share one place.
#[derive(Clone, Default)]
pub struct StatusSlot(Arc<OnceLock<StatusSource>>);

impl StatusSlot {
    /// Creates an empty place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the source; `None` before the start.
    #[must_use]
    pub fn get(&self) -> Option<&StatusSource> {
        self.0.get()
    }

    /// Keeps the source of the first agent that is started with this place.
    pub(crate) fn fill(&self, source: StatusSource) {
        let _ = self.0.set(source);
    }
}

impl StatusSource {
    pub(crate) fn new(cx: Context) -> Self {
        Self(cx)
    }

    /// Returns the agent's name.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.0.name()
    }

    /// Returns the status now, with the numbers of the queues as they were last asked for. It does not wait.
    #[must_use]
    pub fn status(&self) -> Status {
        take::status(&self.0)
    }

    /// Asks the broker for the numbers of the consumed queues, for the statuses that follow. It asks at most twice a second and
    /// waits for at most 2 s; an error stays beside the last numbers.
    pub async fn refresh(&self) {
        self.0.health().depths.refresh(self.0.own_broker()).await;
    }

    /// Lets the agent's runtime [`refresh`](Self::refresh) and returns the status then, after at most `within`. It blocks the
    /// calling thread, which must not be one of that runtime.
    ///
    /// If the runtime does not come round to the request, the state is [`AgentState::Blocked`], and the reason names the
    /// handlers that keep its threads.
    #[must_use]
    pub fn ask(&self, within: Duration) -> Status {
        let began = Instant::now();
        let runtime = self.0.health().runtime.as_ref();
        let came_round = runtime.is_none_or(|runtime| {
            let start = |ticket: Ticket| {
                let source = self.clone();
                drop(runtime.spawn(async move {
                    let round = ticket.came();
                    source.refresh().await;
                    round.finished();
                }));
            };
            self.0.health().rounds.ask(within, start)
        });
        let mut status = self.status();
        if !came_round && status.state != AgentState::Stopped {
            take::mark_blocked(&mut status, began.elapsed());
        }
        status
    }
}

impl fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusSource").field(&self.0.name()).finish()
    }
}

impl fmt::Debug for StatusSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusSlot").field(&self.get()).finish()
    }
}
