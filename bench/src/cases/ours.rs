//! MicroAgent's side of the cases that exist for several drivers.

use futures_util::{StreamExt, TryStreamExt, stream};
use microagent::{prelude::*, status::StatusSlot};

use super::agents::{Countdown, Counting, MAILER, UserCreated};
use crate::measure::{Cost, Stopwatch, timed};

/// Measures how an agent consumes `count` messages that wait already: receive, decode, handle, acknowledge.
pub(crate) async fn consume(broker: Broker, count: u32) -> Result<Cost> {
    consume_seen(broker, count, StatusSlot::new()).await
}

/// The same with an agent that fills this place with the source of its status.
pub(crate) async fn consume_seen(broker: Broker, count: u32, slot: StatusSlot) -> Result<Cost> {
    consume_by_seen(|countdown| Counting { countdown }, broker, count, slot).await
}

/// The same with an agent that this makes.
pub(crate) async fn consume_by<A: MicroAgent>(
    agent: impl FnOnce(Countdown) -> A,
    broker: Broker,
    count: u32,
) -> Result<Cost> {
    consume_by_seen(agent, broker, count, StatusSlot::new()).await
}

async fn consume_by_seen<A: MicroAgent>(
    agent: impl FnOnce(Countdown) -> A,
    broker: Broker,
    count: u32,
    slot: StatusSlot,
) -> Result<Cost> {
    let countdown = Countdown::from(count);
    let watch = Stopwatch::start();
    let agent = builder(agent(countdown.clone()), &broker).await?;
    let agent = agent.status_slot(slot).start().await?;
    countdown.done().await;
    agent.stop().await?;
    // Closing flushes the last acknowledgements, so it belongs to the work.
    broker.close().await?;
    Ok(watch.stop())
}

/// Starts the agent that consumes the measured queue.
pub(crate) async fn start_consumer(
    broker: &Broker,
    countdown: &Countdown,
) -> Result<RunningAgent<Counting>> {
    let countdown = countdown.clone();
    let agent = builder(Counting { countdown }, broker).await?;
    agent.start().await
}

async fn builder<A: MicroAgent>(agent: A, broker: &Broker) -> Result<Agent<A>> {
    let bus = Bus::connect("memory://").await?;
    Ok(Agent::new(agent).bus(bus).broker(broker.clone()))
}

/// Sends `count` messages, each of which is confirmed, with so many in flight.
pub(crate) async fn send(broker: &Broker, count: u32, in_flight: usize) -> Result<()> {
    let mail = UserCreated::sample();
    stream::iter(0..count)
        .map(async |_| broker.send(MAILER, &mail).await)
        .buffer_unordered(in_flight)
        .try_for_each(async |()| Ok(()))
        .await
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
