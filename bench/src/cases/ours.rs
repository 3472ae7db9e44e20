//! MicroAgent's side of the cases that exist for several drivers.

use microagent::{prelude::*, status::StatusSlot};

use super::agents::{Countdown, Counting, UserCreated};
use crate::measure::{Cost, Stopwatch, timed};

/// Measures how an agent consumes `count` messages that wait already: receive, decode, handle, acknowledge.
pub(crate) async fn consume(broker: Broker, count: u32) -> Result<Cost> {
    consume_seen(broker, count, StatusSlot::new()).await
}

/// The same with an agent that fills this place with the source of its status.
pub(crate) async fn consume_seen(broker: Broker, count: u32, slot: StatusSlot) -> Result<Cost> {
    let countdown = Countdown::from(count);
    let counting = Counting {
        countdown: countdown.clone(),
    };
    let watch = Stopwatch::start();
    let agent = builder(counting, &broker).await?.status_slot(slot);
    finish(agent.start().await?, &countdown, broker).await?;
    Ok(watch.stop())
}

/// The same with an agent that this makes.
pub(crate) async fn consume_by<A: MicroAgent>(
    agent: impl FnOnce(Countdown) -> A,
    broker: Broker,
    count: u32,
) -> Result<Cost> {
    let countdown = Countdown::from(count);
    let watch = Stopwatch::start();
    let agent = start(agent(countdown.clone()), &broker).await?;
    finish(agent, &countdown, broker).await?;
    Ok(watch.stop())
}

async fn finish<A: MicroAgent>(
    agent: RunningAgent<A>,
    countdown: &Countdown,
    broker: Broker,
) -> Result<()> {
    countdown.done().await;
    agent.stop().await?;
    // Closing flushes the last acknowledgements, so it belongs to the work.
    broker.close().await
}

/// Starts the agent that consumes the measured queue.
pub(crate) async fn start_consumer(
    broker: &Broker,
    countdown: &Countdown,
) -> Result<RunningAgent<Counting>> {
    let countdown = countdown.clone();
    start(Counting { countdown }, broker).await
}

async fn start<A: MicroAgent>(agent: A, broker: &Broker) -> Result<RunningAgent<A>> {
    builder(agent, broker).await?.start().await
}

async fn builder<A: MicroAgent>(agent: A, broker: &Broker) -> Result<Agent<A>> {
    let bus = Bus::connect("memory://").await?;
    Ok(Agent::new(agent).bus(bus).broker(broker.clone()))
}

/// Measures how an agent handles `count` signals that are published meanwhile, to the channel that `publish` gets.
pub(crate) async fn receive(
    bus: Bus,
    count: u32,
    publish: impl AsyncFnOnce(&str) -> Result<()>,
) -> Result<Cost> {
    receive_seen(bus, count, publish, StatusSlot::new()).await
}

/// The same with an agent that fills this place with the source of its status.
pub(crate) async fn receive_seen(
    bus: Bus,
    count: u32,
    publish: impl AsyncFnOnce(&str) -> Result<()>,
    slot: StatusSlot,
) -> Result<Cost> {
    let countdown = Countdown::from(count);
    let agent = Counting {
        countdown: countdown.clone(),
    };
    let agent = Agent::new(agent)
        .bus(bus.clone())
        .broker(Broker::connect("memory://").await?)
        .status_slot(slot)
        .start()
        .await?;
    let channel = format!("{}:{}:bench", bus.prefix(), <UserCreated as Signal>::NAME);
    let cost = timed(async {
        publish(&channel).await?;
        countdown.done().await;
        Ok(())
    });
    let cost = cost.await?;
    agent.stop().await?;
    bus.close().await?;
    Ok(cost)
}
