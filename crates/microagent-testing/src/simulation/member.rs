//! One member of the group: its start and its crash.

use std::{any::Any, sync::Arc};

use futures_util::future::BoxFuture;
use microagent_core::{
    Agent, Broker, BrokerOptions, Bus, BusOptions, MemoryOptions, MicroAgent, Result, RunningAgent,
};

use super::{
    drivers::{FaultyBroker, FaultyBus},
    simulated_run::SharedRun,
};

/// The server that all members share, with the options of their buses and brokers.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    pub(super) server: MemoryOptions,
    pub(super) bus: BusOptions,
    pub(super) broker: BrokerOptions,
}

type Start = Arc<dyn Fn() -> BoxFuture<'static, Result<RunningMember>> + Send + Sync>;

/// A member, running or not.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: Start,
    pub(super) running: Option<RunningMember>,
}

/// The agent of a running member, with its connections.
pub(super) struct RunningMember {
    pub(super) agent: RunningAgent<dyn Any + Send + Sync>,
    bus: Arc<FaultyBus>,
    broker: Arc<FaultyBroker>,
}

impl Member {
    pub(super) fn new<A: MicroAgent>(
        run: &SharedRun,
        deployment: &Deployment,
        name: &str,
        make: impl Fn() -> Agent<A> + Send + Sync + 'static,
    ) -> Self {
        let (run, deployment) = (SharedRun::clone(run), deployment.clone());
        let (named, make) = (name.to_owned(), Arc::new(make));
        let start: Start = Arc::new(move || {
            let agent = make().name(named.clone());
            Box::pin(start(SharedRun::clone(&run), deployment.clone(), agent))
        });
        Self {
            name: name.to_owned(),
            start,
            running: None,
        }
    }
}

async fn start<A: MicroAgent>(
    run: SharedRun,
    deployment: Deployment,
    agent: Agent<A>,
) -> Result<RunningMember> {
    let bus = Arc::new(FaultyBus::open(&run, &deployment.server));
    let broker = Arc::new(FaultyBroker::open(&run, &deployment.server));
    let agent = agent
        .bus(Bus::with_options(Arc::clone(&bus) as _, deployment.bus)?)
        .broker(Broker::with_options(
            Arc::clone(&broker) as _,
            deployment.broker,
        ))
        .clock(run.skewed_clock());
    Ok(RunningMember {
        agent: agent.start().await?.erase(),
        bus,
        broker,
    })
}

impl RunningMember {
    /// Ends the member as the death of its process would: it can no longer settle or send anything.
    pub(super) fn crash(self) {
        self.broker.crash();
        self.bus.crash();
        drop(self.agent);
    }
}
