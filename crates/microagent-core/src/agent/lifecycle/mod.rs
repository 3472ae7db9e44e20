//! The life of an agent on one screen: `pre_start` → bind → schedules → `post_start` → servers → … → stop → `pre_stop` →
//! drain.
//!
//! This module starts and stops agents. The stop runs in a task of its own, which waits for the reason (`RunningAgent::stop`,
//! the end of a server, of a subscription or of a consumer), so that an agent also stops if nobody watches it. The module
//! `dispatch` decides what follows the result of a handler.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{future::BoxFuture, stream::BoxStream};
use serde_json::Value;
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Span, debug, error, info, warn};

use super::{
    Blueprint, Context, Manifest, MicroAgent, RunningAgent, bind, builder::Setup,
    context::Surroundings,
};
use crate::{
    Broker, Bus, Delivery, Error, ErrorKind, Result,
    broker::AbsentBroker,
    bus::AbsentBus,
    dispatch::{
        consume::{self, BoundConsumer},
        growth, polled,
        run::{End, fenced},
    },
    driver::lock,
    stats::AgentStats,
    status::{self, Health, Phase},
    timer,
};

/// The state of a running agent, shared by all tasks that run for it.
pub(crate) struct Life {
    pub(crate) cx: Context,
    pub(crate) agent_type: &'static str,
    pub(crate) bus: Option<Bus>,
    pub(crate) broker: Option<Broker>,
    /// True if the bus knows the type of the agent, until the agent leaves the bus.
    pub(crate) listens: AtomicBool,
    /// The queues that it consumes, until it releases them.
    pub(crate) queues: Mutex<Vec<String>>,
    pub(crate) grace: Duration,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the grace period is over: handlers that still run are cut off.
    pub(crate) killed: CancellationToken,
    /// The first failure that ended the agent.
    pub(crate) failure: OnceLock<Error>,
    /// Cancelled when the handle is dropped: a drain that is under way ends too.
    pub(crate) abandoned: CancellationToken,
    /// Cancelled when the agent has stopped.
    pub(crate) stopped: CancellationToken,
    pub(crate) pre_stop: Vec<(&'static str, Hook)>,
}

type Hook = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Starts an agent; on an error, and when the future is dropped, all that was started is stopped again.
pub(crate) async fn start<A: MicroAgent>(
    object: Option<A>,
    setup: Setup,
) -> Result<RunningAgent<A>> {
    let mut blueprint = A::blueprint();
    let manifest = configured(&mut blueprint, &setup)?;
    check_connections(&manifest, &setup)?;
    if setup.periodic_tasks {
        timer::check_leases_of(&blueprint, setup.bus.as_ref(), setup.broker.as_ref())?;
    }
    let cx = context_of::<A>(manifest, &setup)?;
    setup.status_slot.fill(cx.status_source());
    let mut attempt = StartAttempt(Some(cx.clone()));
    status::answer_on_bus(&cx);
    let started = start_in(&cx, object, blueprint, setup).await;
    match &started {
        Ok(_) => attempt.0 = None,
        Err(error) => cx.health().fail(|| error.to_string()),
    }
    started
}

/// A start that has not succeeded. The agent has stopped if this is dropped, also if the caller no longer waits for the start.
struct StartAttempt(Option<Context>);

impl Drop for StartAttempt {
    fn drop(&mut self) {
        if let Some(cx) = &self.0 {
            cx.health().enter(Phase::Stopped);
        }
    }
}

async fn start_in<A: MicroAgent>(
    cx: &Context,
    object: Option<A>,
    mut blueprint: Blueprint<A>,
    setup: Setup,
) -> Result<RunningAgent<A>> {
    let mut object = match object {
        Some(object) => object,
        None => A::create(cx)
            .await
            .map_err(|error| error.context(format!("creating {}", A::NAME)))?,
    };
    let never = CancellationToken::new();
    for (name, hook) in std::mem::take(&mut blueprint.pre_start) {
        let end = fenced(hook(&mut object, cx), Instant::now(), Duration::MAX, &never).await;
        hook_result(name, "pre_start", end)?;
    }

    let agent = Arc::new(object);
    let life = Arc::new(life_of(&agent, cx, &setup, &mut blueprint));
    // If the caller no longer waits for the start, this drops the parts that were started.
    let running = RunningAgent::new(Arc::clone(&agent), Arc::clone(&life));
    let live = tokio::select! {
        biased;
        live = go_live(&agent, &life, blueprint, &setup) => live,
        () = cx.stopping().cancelled() => life.result(),
    };
    match live {
        Ok(()) => {
            info!(agent = cx.name(), "agent is live");
            cx.health().enter(Phase::Live);
            let stopped = Stopped(Arc::clone(&life));
            tokio::spawn(life.supervise(stopped));
            Ok(running)
        }
        Err(error) => {
            life.wind_down().await;
            Err(error)
        }
    }
}

async fn go_live<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    blueprint: Blueprint<A>,
    setup: &Setup,
) -> Result<()> {
    let Blueprint {
        post_start,
        servers,
        gaps,
        receivers,
        consumers,
        periodic,
        cron,
        ..
    } = blueprint;
    if setup.receiving_signals {
        bind::receivers(agent, life, receivers, gaps).await?;
    }
    if setup.consuming_messages {
        bind::consumers(agent, life, consumers).await?;
    }
    if setup.periodic_tasks {
        timer::run_periodic(agent, life, periodic);
        timer::run_cron(agent, life, cron, &setup.clock)?;
    }
    for (name, hook) in post_start {
        let end = fenced(
            hook(agent, &life.cx),
            Instant::now(),
            Duration::MAX,
            &life.killed,
        )
        .await;
        hook_result(name, "post_start", end)?;
    }
    if setup.servers_running {
        for (name, server) in servers {
            life.tasks
                .spawn(Arc::clone(life).serve(name, server(agent, &life.cx)));
        }
    }
    Ok(())
}

/// The end of an agent's life, when this is dropped.
struct Stopped(Arc<Life>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.cx.health().enter(Phase::Stopped);
        self.0.stopped.cancel();
    }
}

impl Life {
    /// Waits until the agent has to stop, whoever asks for it, and stops it. The life has ended at the end of this, also if
    /// the runtime ends first.
    async fn supervise(self: Arc<Self>, stopped: Stopped) {
        self.cx.stopping().cancelled().await;
        tokio::select! {
            biased;
            // `abandon` could not leave the bus if the handle was dropped outside of a runtime.
            () = self.abandoned.cancelled() => drop(self.leave_bus()),
            () = self.wind_down() => info!(agent = self.cx.name(), "agent has stopped"),
        }
        drop(stopped);
    }

    /// Asks the agent to stop, and waits until it has.
    pub(crate) async fn stop(&self) {
        self.cx.stop();
        self.stopped.cancelled().await;
    }

    /// Returns the failure of the agent, if it has failed.
    pub(crate) fn result(&self) -> Result<()> {
        match self.failure.get() {
            Some(error) => Err(error.without_source()),
            None => Ok(()),
        }
    }

    /// Stops the agent: it takes no new work, `pre_stop` runs, and handlers that run may finish within the grace period. The
    /// others are cut off, and their messages return to their queues.
    async fn wind_down(&self) {
        self.cx.stop();
        debug!(agent = self.cx.name(), "stopping");
        let drained = timeout(self.grace, async {
            if let Some(leaving) = self.leave_bus() {
                // It is not cancelled, and a panic in it is reported by the runtime.
                let _ = leaving.await;
            }
            self.run_pre_stop().await;
            self.tasks.close();
            self.tasks.wait().await;
        });
        if drained.await.is_err() {
            warn!(agent = self.cx.name(), grace = ?self.grace, "grace is over; cutting off handlers that still run");
            self.killed.cancel();
            // It may have been a hook that took so long; nothing new comes either way.
            self.tasks.close();
            // Handlers that were cut off only return their messages now.
            drop(timeout(Duration::from_secs(1), self.tasks.wait()).await);
        }
        self.release_queues();
    }

    /// Ends everything at once, because nobody waits for it.
    pub(crate) fn abandon(&self) {
        self.abandoned.cancel();
        self.killed.cancel();
        self.cx.stop();
        self.release_queues();
        drop(self.leave_bus());
    }

    /// Lets other agents on this broker handle consume the queues.
    fn release_queues(&self) {
        let queues = std::mem::take(&mut *lock(&self.queues));
        if let Some(broker) = &self.broker {
            queues.iter().for_each(|queue| broker.end_consumer(queue));
        }
    }

    /// Ends the agent's subscriptions, once. The task goes on if nobody waits for it: another agent of the type can
    /// start on this bus handle only when it is done.
    fn leave_bus(&self) -> Option<JoinHandle<()>> {
        let bus = self.bus.clone()?;
        // Outside of a runtime it is left to `supervise`.
        let runtime = Handle::try_current().ok()?;
        let (agent_type, listens) = (self.agent_type, self.listens.swap(false, Ordering::AcqRel));
        listens.then(|| runtime.spawn(async move { bus.listening().leave(agent_type).await }))
    }

    async fn run_pre_stop(&self) {
        for (name, hook) in &self.pre_stop {
            let end = fenced(hook(), Instant::now(), Duration::MAX, &self.killed).await;
            if let Err(error) = hook_result(name, "pre_stop", end) {
                error!(agent = self.cx.name(), %error, "hook failed; stopping goes on");
            }
        }
    }

    /// Runs a server beside the handlers. Its failure is the agent's, its `Ok` is its own.
    async fn serve(self: Arc<Self>, name: &'static str, server: BoxFuture<'static, Result<()>>) {
        let agent = self.cx.name();
        let key: Arc<str> = format!("{}.{name}", self.agent_type).into();
        let no_span = Span::none();
        let server = polled::noted(&key, Instant::now(), &no_span, server);
        let end = fenced(server, Instant::now(), Duration::MAX, &self.killed).await;
        let result = hook_result(name, "server", end);
        match result {
            Ok(()) => info!(agent, server = name, "server has ended"),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                info!(agent, server = name, "server asked the agent to stop");
                self.cx.stop();
            }
            Err(error) => {
                error!(agent, server = name, %error, "server failed; the agent stops");
                self.end(error);
            }
        }
    }

    /// Consumes a queue until the agent stops; if the stream of messages ends before, the agent ends too.
    pub(super) async fn consume(
        &self,
        consumer: Arc<BoundConsumer>,
        deliveries: BoxStream<'static, Delivery>,
    ) {
        let Some(broker) = &self.broker else {
            return;
        };
        let watched = async {
            growth::watch(&consumer, broker).await;
            std::future::pending().await
        };
        let consumed = tokio::select! {
            biased;
            consumed = consume::consume(Arc::clone(&consumer), deliveries) => consumed,
            never = watched => never,
        };
        if let Err(error) = consumed {
            self.fail(error);
        }
    }

    /// Ends an agent that can no longer do its work, unless it is stopping anyway.
    pub(super) fn fail(&self, error: Error) {
        if self.cx.is_stopping() {
            return;
        }
        error!(agent = self.cx.name(), %error, "agent lost its bus or broker; stopping");
        self.end(error);
    }

    /// Makes the agent stop by itself. Its first failure is the one that is reported.
    fn end(&self, error: Error) {
        let failure = self.failure.get_or_init(|| error);
        self.cx.health().fail(|| failure.to_string());
        self.cx.stop();
    }
}

/// A hook's end as a result that names the hook.
fn hook_result(name: &str, kind: &str, end: End<()>) -> Result<()> {
    match end {
        End::Done(()) | End::Abandoned => Ok(()),
        End::Failed(error) if error.kind() == ErrorKind::Interrupted => Err(error),
        End::Failed(error) => Err(error.context(format!("{kind} hook `{name}`"))),
        failed => Err(Error::new(
            ErrorKind::Panic,
            format!(
                "{kind} hook `{name}` {}",
                failed.failure().unwrap_or_default()
            ),
        )),
    }
}

/// Gives the handlers the options that the start sets, and returns the manifest with them.
fn configured<A: MicroAgent>(blueprint: &mut Blueprint<A>, setup: &Setup) -> Result<Manifest> {
    let handlers = setup.handlers.as_ref().map_err(|error| {
        let text = format!("the options of handlers cannot be written as JSON: {error}");
        Error::new(ErrorKind::Configuration, text)
    })?;
    let manifest = blueprint
        .manifest()
        .started_with(handlers, setup.zone.as_deref())?;
    blueprint.take_options(&manifest);
    Ok(manifest)
}

fn check_connections(manifest: &Manifest, setup: &Setup) -> Result<()> {
    let refused = |what: &str, handler: &str, missing: &str| {
        let text = format!(
            "{} has the {what} `{handler}` and no {missing}: give it one with `.{missing}(…)` or `{missing} = …` in its settings",
            manifest.name
        );
        Err(Error::new(ErrorKind::Configuration, text))
    };
    if let (None, Some(receiver)) = (&setup.bus, manifest.receivers.first()) {
        return refused("receiver", &receiver.name, "bus");
    }
    if let (None, Some(consumer)) = (&setup.broker, manifest.consumers.first()) {
        return refused("consumer", &consumer.name, "broker");
    }
    Ok(())
}

fn context_of<A: MicroAgent>(manifest: Manifest, setup: &Setup) -> Result<Context> {
    let name: Arc<str> = setup.name.as_deref().unwrap_or(&manifest.name).into();
    let settings = match &setup.settings {
        Ok(Value::Null) => Value::Object(serde_json::Map::new()),
        Ok(settings) => settings.clone(),
        Err(error) => {
            let text = format!("the settings of agent `{name}` cannot be written as JSON: {error}");
            return Err(Error::new(ErrorKind::Configuration, text));
        }
    };
    Ok(Context::new(Surroundings {
        absent_bus: Bus::new(Arc::new(AbsentBus(Arc::clone(&name)))),
        absent_broker: Broker::new(Arc::new(AbsentBroker(Arc::clone(&name)))),
        bus: setup.bus.clone(),
        broker: setup.broker.clone(),
        settings,
        settings_places: setup.settings_places.clone(),
        manifest,
        stats: AgentStats::new(),
        health: Health::new(A::NAME, A::VERSION, Arc::clone(&setup.clock)),
        stopping: CancellationToken::new(),
        is_stopping: AtomicBool::new(false),
        name,
    }))
}

fn life_of<A: MicroAgent>(
    agent: &Arc<A>,
    cx: &Context,
    setup: &Setup,
    blueprint: &mut Blueprint<A>,
) -> Life {
    let pre_stop = std::mem::take(&mut blueprint.pre_stop)
        .into_iter()
        .map(|(name, hook)| {
            let (agent, cx) = (Arc::clone(agent), cx.clone());
            let hook: Hook = Box::new(move || hook(&agent, &cx));
            (name, hook)
        });
    Life {
        cx: cx.clone(),
        agent_type: A::NAME,
        bus: setup.bus.clone(),
        broker: setup.broker.clone(),
        listens: AtomicBool::new(false),
        queues: Mutex::default(),
        grace: setup.grace,
        tasks: TaskTracker::new(),
        killed: CancellationToken::new(),
        failure: OnceLock::new(),
        abandoned: CancellationToken::new(),
        stopped: CancellationToken::new(),
        pre_stop: pre_stop.collect(),
    }
}

#[cfg(test)]
mod tests;
