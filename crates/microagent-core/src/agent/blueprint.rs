//! The table of an agent's handlers. `#[agent]` generates it; it can be written by hand as well.
//!
//! It holds functions and options, no state and no connection.

use std::{fmt, future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use microagent_schema::{
    ConsumerOptions, CronOptions, PeriodicOptions, ReceiverOptions, SignalDeclaration,
};

use super::{Context, HandlerReply, MessageInput, SignalInput};
use crate::{Gap, Queue, Result, Signal};

/// An object with handlers for a bus and a broker. `#[agent]` implements it on an `impl` block.
///
/// By hand:
///
/// ```
/// use std::sync::Arc;
/// use microagent_core::{HandlerReply, Blueprint, Context, MicroAgent, PeriodicOptions, Result};
///
/// struct Ticker;
///
/// impl MicroAgent for Ticker {
///     const NAME: &'static str = "Ticker";
///
///     fn blueprint() -> Blueprint<Self> {
///         let every_second = PeriodicOptions::every(std::time::Duration::from_secs(1));
///         Blueprint::new().periodic("tick", every_second, |_agent: &Arc<Self>, _cx: &Context| {
///             Box::pin(async { Ok(()) })
///         })
///     }
///
///     async fn create(_cx: &Context) -> Result<Self> {
///         Ok(Self)
///     }
/// }
///
/// assert_eq!(Ticker::blueprint().manifest().periodic[0].name, "tick");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an agent",
    note = "put `#[agent]` on the `impl` block that holds its handlers"
)]
pub trait MicroAgent: Sized + Send + Sync + 'static {
    /// The name of the type: `CommentAgent` in the answer `CommentAgent.comments_count`.
    const NAME: &'static str;

    /// The version of the crate that defines the type, for its [status](crate::status::Status); `#[agent]` sets it. Empty if it is
    /// not known.
    const VERSION: &'static str = "";

    /// Returns the table of handlers.
    fn blueprint() -> Blueprint<Self>;

    /// Builds the agent if only its type is known, as the launcher does.
    fn create(cx: &Context) -> impl Future<Output = Result<Self>> + Send;

    /// Returns why [`create`](Self::create) always fails, if that is known before it is called.
    #[must_use]
    fn creation_problem() -> Option<String> {
        None
    }
}

/// A handler that has decoded its arguments and can run; or the error that names the argument that it could not decode.
pub type HandlerFuture<T> = Result<BoxFuture<'static, Result<T>>>;

type PreStart<A> =
    Box<dyn for<'a> FnOnce(&'a mut A, &'a Context) -> BoxFuture<'a, Result<()>> + Send>;
pub(crate) type Task<A> =
    Arc<dyn Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync>;
pub(crate) type OnGap<A> =
    Arc<dyn Fn(&Arc<A>, &Context, &Gap) -> BoxFuture<'static, Result<()>> + Send + Sync>;
type OnSignal<A> =
    Arc<dyn Fn(&Arc<A>, &SignalInput<'_>) -> HandlerFuture<HandlerReply> + Send + Sync>;
type OnMessage<A> = Arc<dyn Fn(&Arc<A>, &mut MessageInput<'_>) -> HandlerFuture<()> + Send + Sync>;

/// The handlers of an agent type, in the order in which they were added.
pub struct Blueprint<A> {
    pub(crate) pre_start: Vec<(&'static str, PreStart<A>)>,
    pub(crate) post_start: Vec<(&'static str, Task<A>)>,
    pub(crate) pre_stop: Vec<(&'static str, Task<A>)>,
    pub(crate) servers: Vec<(&'static str, Task<A>)>,
    pub(crate) gaps: Vec<(&'static str, OnGap<A>)>,
    pub(crate) receivers: Vec<ReceiverEntry<A>>,
    pub(crate) consumers: Vec<ConsumerEntry<A>>,
    pub(crate) periodic: Vec<PeriodicEntry<A>>,
    pub(crate) cron: Vec<CronEntry<A>>,
}

pub(crate) struct ReceiverEntry<A> {
    pub(crate) name: &'static str,
    pub(crate) signal: &'static str,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) declaration: &'static SignalDeclaration,
    pub(crate) options: ReceiverOptions,
    pub(crate) call: OnSignal<A>,
}

pub(crate) struct ConsumerEntry<A> {
    pub(crate) name: &'static str,
    pub(crate) queue: Queue,
    pub(crate) options: ConsumerOptions,
    pub(crate) call: OnMessage<A>,
}

pub(crate) struct PeriodicEntry<A> {
    pub(crate) name: &'static str,
    pub(crate) options: PeriodicOptions,
    pub(crate) call: Task<A>,
}

pub(crate) struct CronEntry<A> {
    pub(crate) name: &'static str,
    pub(crate) options: CronOptions,
    pub(crate) call: Task<A>,
}

impl<A: Send + Sync + 'static> Blueprint<A> {
    /// Creates a blueprint without handlers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pre_start: Vec::new(),
            post_start: Vec::new(),
            pre_stop: Vec::new(),
            servers: Vec::new(),
            gaps: Vec::new(),
            receivers: Vec::new(),
            consumers: Vec::new(),
            periodic: Vec::new(),
            cron: Vec::new(),
        }
    }

    /// Adds a hook that runs before anything is received; the only handler with `&mut` access.
    #[must_use]
    pub fn pre_start(
        mut self,
        name: &'static str,
        hook: impl for<'a> FnOnce(&'a mut A, &'a Context) -> BoxFuture<'a, Result<()>> + Send + 'static,
    ) -> Self {
        self.pre_start.push((name, Box::new(hook)));
        self
    }

    /// Adds a hook that runs when receivers and consumers are bound.
    #[must_use]
    pub fn post_start(
        mut self,
        name: &'static str,
        hook: impl Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.post_start.push((name, Arc::new(hook)));
        self
    }

    /// Adds a hook that runs when the agent stops, while its connections are still open.
    #[must_use]
    pub fn pre_stop(
        mut self,
        name: &'static str,
        hook: impl Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.pre_stop.push((name, Arc::new(hook)));
        self
    }

    /// Adds a server, which runs beside the handlers until the agent stops. Its failure stops the agent; its `Ok` ends only the server.
    #[must_use]
    pub fn server(
        mut self,
        name: &'static str,
        server: impl Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.servers.push((name, Arc::new(server)));
        self
    }

    /// Adds a hook that runs after a gap, in which the bus was disconnected.
    #[must_use]
    pub fn gap(
        mut self,
        name: &'static str,
        hook: impl Fn(&Arc<A>, &Context, &Gap) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.gaps.push((name, Arc::new(hook)));
        self
    }

    /// Adds a receiver of a signal. A handler of several signals is added once for each.
    #[must_use]
    pub fn receiver<S: Signal>(
        mut self,
        name: &'static str,
        options: ReceiverOptions,
        handler: impl Fn(&Arc<A>, &SignalInput<'_>) -> HandlerFuture<HandlerReply>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.receivers.push(ReceiverEntry {
            name,
            signal: S::NAME,
            prefix: S::PREFIX,
            declaration: S::declaration(),
            options,
            call: Arc::new(handler),
        });
        self
    }

    /// Adds a consumer of a queue.
    #[must_use]
    pub fn consumer(
        mut self,
        name: &'static str,
        queue: Queue,
        options: ConsumerOptions,
        handler: impl Fn(&Arc<A>, &mut MessageInput<'_>) -> HandlerFuture<()> + Send + Sync + 'static,
    ) -> Self {
        self.consumers.push(ConsumerEntry {
            name,
            queue,
            options,
            call: Arc::new(handler),
        });
        self
    }

    /// Adds a periodic task.
    #[must_use]
    pub fn periodic(
        mut self,
        name: &'static str,
        options: PeriodicOptions,
        task: impl Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.periodic.push(PeriodicEntry {
            name,
            options,
            call: Arc::new(task),
        });
        self
    }

    /// Adds a cron task.
    #[must_use]
    pub fn cron(
        mut self,
        name: &'static str,
        options: CronOptions,
        task: impl Fn(&Arc<A>, &Context) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.cron.push(CronEntry {
            name,
            options,
            call: Arc::new(task),
        });
        self
    }
}

impl<A: Send + Sync + 'static> Default for Blueprint<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: MicroAgent> fmt::Debug for Blueprint<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blueprint").field(&self.manifest()).finish()
    }
}
