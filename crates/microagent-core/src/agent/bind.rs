//! From the entries of a blueprint to receivers that are subscribed and consumers that consume.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;
use tracing::error;

use super::{ConsumerEntry, MicroAgent, ReceiverEntry, blueprint::OnGap, lifecycle::Life};
use crate::{
    Bus, ConsumeOptions, Error, ErrorKind, Gap, Queue, Result,
    dispatch::{
        consume::{BoundConsumer, Parking},
        flow::Flow,
        listening::{Binding, Listener},
        receiver::BoundReceiver,
        run,
    },
    driver::lock,
    stats::{Counter, HandlerSite},
    status::HandlerKind,
};

/// Subscribes the agent's receivers; its subscriptions are live when this returns.
pub(super) async fn receivers<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    entries: Vec<ReceiverEntry<A>>,
    gaps: Vec<(&'static str, OnGap<A>)>,
) -> Result<()> {
    let Some(bus) = life.bus.as_ref().filter(|_| !entries.is_empty()) else {
        return Ok(());
    };
    let listener = Listener {
        on_gap: on_gap(agent, life, gaps),
        on_end: on_end(life),
    };
    bus.listening().enter(A::NAME, listener)?;
    life.listens.store(true, Ordering::Release);
    for entry in entries {
        let name = entry.name;
        check_types::<A>(bus, &entry)?;
        let binding = Binding {
            signal: entry.signal,
            prefix: entry.prefix,
            declaration: entry.declaration,
            receiver: Arc::new(bound_receiver(agent, life, entry)),
        };
        bus.listening()
            .bind(bus, binding)
            .await
            .map_err(|error| error.context(format!("receiver `{name}` of {}", A::NAME)))?;
    }
    Ok(())
}

/// Checks the types of the signal's arguments in the code against the declarations that the bus has.
fn check_types<A: MicroAgent>(bus: &Bus, entry: &ReceiverEntry<A>) -> Result<()> {
    let declared = bus.declarations();
    let declared = declared.and_then(|known| known.signal(entry.signal));
    let conflicts = declared.map_or_else(Vec::new, |file| entry.declaration.conflicts_with(file));
    if conflicts.is_empty() {
        return Ok(());
    }
    let text = format!(
        "receiver `{}` of {}: signal `{}`: {}",
        entry.name,
        A::NAME,
        entry.signal,
        conflicts.join("; ")
    );
    Err(Error::new(ErrorKind::Declaration, text))
}

/// Consumes the agent's queues.
pub(super) async fn consumers<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    entries: Vec<ConsumerEntry<A>>,
) -> Result<()> {
    let Some(broker) = &life.broker else {
        return Ok(());
    };
    for entry in entries {
        let mut options = ConsumeOptions::with_prefetch(entry.options.effective_prefetch());
        options.native = entry.options.driver.clone();
        options.handler_timeout = Some(entry.options.timeout);
        let deliveries = broker
            .consume(&entry.queue, options)
            .await
            .map_err(|error| error.context(format!("consumer `{}` of {}", entry.name, A::NAME)))?;
        lock(&life.queues).push(entry.queue.name().to_owned());
        watch_depth(life, &entry);
        let consumer = Arc::new(bound_consumer(agent, life, entry));
        let life = Arc::clone(life);
        life.tasks
            .clone()
            .spawn(async move { life.consume(consumer, deliveries).await });
    }
    Ok(())
}

/// Lets the status ask for the numbers of the queue and of its dead letters.
fn watch_depth<A>(life: &Life, entry: &ConsumerEntry<A>) {
    let dead_letters = entry.options.dead_letter.of(entry.queue.name());
    // A name that is not that of a queue is refused when a message goes there.
    let dead_letters = dead_letters.and_then(|name| Queue::named(name).ok());
    let depths = &life.cx.health().depths;
    depths.add(entry.queue.clone(), dead_letters);
}

fn bound_receiver<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Life,
    entry: ReceiverEntry<A>,
) -> BoundReceiver {
    let (agent, call) = (Arc::clone(agent), entry.call);
    let flow = Flow::of_receiver(&entry.options);
    let site = HandlerSite {
        name: entry.name,
        kind: HandlerKind::Signal,
        source: entry.signal.to_owned(),
        limit: Some(entry.options.concurrency),
    };
    BoundReceiver {
        agent: A::NAME,
        key: format!("{}.{}", A::NAME, entry.name).into(),
        name: entry.name,
        cx: life.cx.clone(),
        stats: life.cx.stats().handler(site, flow.load()),
        flow,
        options: entry.options,
        call: Box::new(move |input| call(&agent, input)),
        dropped: Counter::default(),
        tasks: life.tasks.clone(),
        killed: life.killed.clone(),
    }
}

fn bound_consumer<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Life,
    entry: ConsumerEntry<A>,
) -> BoundConsumer {
    let (agent, call) = (Arc::clone(agent), entry.call);
    let flow = Flow::of_consumer(&entry.options);
    let site = HandlerSite {
        name: entry.name,
        kind: HandlerKind::Queue,
        source: entry.queue.name().to_owned(),
        limit: Some(entry.options.concurrency),
    };
    let stats = life.cx.stats().handler(site, flow.load());
    BoundConsumer {
        key: format!("{}.{}", A::NAME, entry.name).into(),
        name: entry.name,
        queue: entry.queue.name().to_owned(),
        cx: life.cx.clone(),
        flow,
        options: entry.options,
        call: Box::new(move |input| call(&agent, input)),
        parking: Parking {
            cx: life.cx.clone(),
            handler: entry.name,
            stats: Arc::clone(&stats),
        },
        stats,
        activity: Arc::default(),
        tasks: life.tasks.clone(),
        killed: life.killed.clone(),
    }
}

fn on_gap<A: MicroAgent>(
    agent: &Arc<A>,
    life: &Arc<Life>,
    hooks: Vec<(&'static str, OnGap<A>)>,
) -> Arc<dyn Fn(&Gap) + Send + Sync> {
    let (agent, life) = (Arc::clone(agent), Arc::downgrade(life));
    Arc::new(move |gap: &Gap| {
        let Some(life) = life.upgrade() else {
            return;
        };
        life.cx.stats().gap(gap);
        for (name, hook) in &hooks {
            let run = hook(&agent, &life.cx, gap);
            let (name, cx, killed) = (*name, life.cx.clone(), life.killed.clone());
            life.tasks.spawn(async move {
                let end = run::fenced(run, Instant::now(), std::time::Duration::MAX, &killed).await;
                if let Some(failure) = end.failure() {
                    error!(
                        agent = cx.name(),
                        handler = name,
                        failure,
                        "gap hook failed"
                    );
                }
            });
        }
    })
}

fn on_end(life: &Arc<Life>) -> Arc<dyn Fn(Error) + Send + Sync> {
    let life = Arc::downgrade(life);
    Arc::new(move |error| {
        if let Some(life) = life.upgrade() {
            life.fail(error);
        }
    })
}
