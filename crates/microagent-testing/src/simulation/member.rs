//! One member of the group: how it is started, and how it dies.

use std::{any::Any, sync::Arc};

use futures_util::future::BoxFuture;
use microagent_core::{
    Agent, Broker, BrokerOptions, Bus, BusOptions, MemoryOptions, MicroAgent, Result, RunningAgent,
};

use super::{
    drivers::{WildBroker, WildBus},
    world::Shared,
};

/// The server that all members share, and how they read its deployment.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) server: MemoryOptions,
    pub(super) bus: BusOptions,
    pub(super) broker: BrokerOptions,
}

type Start = Arc<dyn Fn() -> BoxFuture<'static, Result<Living>> + Send + Sync>;

/// A member, alive or not.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: Start,
    pub(super) living: Option<Living>,
}

/// The connections of a member's process, and what lives in it.
pub(super) struct Living {
    pub(super) agent: RunningAgent<dyn Any + Send + Sync>,
    bus: Arc<WildBus>,
    broker: Arc<WildBroker>,
}

impl Member {
    pub(super) fn new<A: MicroAgent>(
        world: &Shared,
        deployment: &Deployment,
        name: &str,
        make: impl Fn() -> Agent<A> + Send + Sync + 'static,
    ) -> Self {
        let (world, deployment) = (Shared::clone(world), deployment.clone());
        let (named, make) = (name.to_owned(), Arc::new(make));
        let start: Start = Arc::new(move || {
            let agent = make().name(named.clone());
            Box::pin(start(Shared::clone(&world), deployment.clone(), agent))
        });
        Self {
            name: name.to_owned(),
            start,
            living: None,
        }
    }
}

async fn start<A: MicroAgent>(
    world: Shared,
    deployment: Deployment,
    agent: Agent<A>,
) -> Result<Living> {
    let bus = Arc::new(WildBus::open(&world, &deployment.server));
    let broker = Arc::new(WildBroker::open(&world, &deployment.server));
    let agent = agent
        .bus(Bus::with_options(Arc::clone(&bus) as _, deployment.bus)?)
        .broker(Broker::with_options(
            Arc::clone(&broker) as _,
            deployment.broker,
        ))
        .clock(world.skewed_clock());
    Ok(Living {
        agent: agent.start().await?.erase(),
        bus,
        broker,
    })
}

impl Living {
    /// Ends it as the end of its process would: nothing that it holds can be settled or sent any more.
    pub(super) fn crash(self) {
        self.broker.crash();
        self.bus.crash();
        drop(self.agent);
    }
}
