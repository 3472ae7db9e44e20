//! MicroAgent's side of the cases that exist for several drivers.

use microagent::prelude::*;

use super::agents::{Countdown, Counting, UserCreated};
use crate::measure::{Cost, Stopwatch, timed};

/// Measures how an agent consumes `count` messages that wait already: receive, decode, handle, acknowledge.
pub(crate) async fn consume(broker: Broker, count: u32) -> Result<Cost> {
    consume_by(|countdown| Counting { countdown }, broker, count).await
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
    start(Counting { countdown }, broker).await
}

async fn start<A: MicroAgent>(agent: A, broker: &Broker) -> Result<RunningAgent<A>> {
    Agent::new(agent)
        .bus(Bus::connect("memory://").await?)
        .broker(broker.clone())
        .start()
        .await
}

/// Measures how an agent handles `count` signals that are published meanwhile, to the channel that `publish` gets.
pub(crate) async fn receive(
    bus: Bus,
    count: u32,
    publish: impl AsyncFnOnce(&str) -> Result<()>,
) -> Result<Cost> {
    let countdown = Countdown::from(count);
    let agent = Counting {
        countdown: countdown.clone(),
    };
    let agent = Agent::new(agent)
        .bus(bus.clone())
        .broker(Broker::connect("memory://").await?)
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
