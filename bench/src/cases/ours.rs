//! MicroAgent's side of the cases that exist for several drivers.

use std::time::{Duration, Instant};

use microagent::prelude::*;

use super::agents::{Countdown, Counting, UserCreated};
use crate::measure::timed;

/// How long an agent takes for so many messages that wait already: taken, decoded, handled, acknowledged.
pub(crate) async fn consume(broker: Broker, count: u32) -> Result<Duration> {
    let countdown = Countdown::from(count);
    let agent = Counting {
        countdown: countdown.clone(),
    };
    let agent = Agent::new(agent)
        .bus(Bus::connect("memory://").await?)
        .broker(broker.clone());
    let began = Instant::now();
    let agent = agent.start().await?;
    countdown.done().await;
    agent.stop().await?;
    // Closing flushes the last acknowledgements, so it belongs to the work.
    broker.close().await?;
    Ok(began.elapsed())
}

/// How long it takes until an agent has handled so many signals, which are published meanwhile to the channel that is told.
pub(crate) async fn hear(
    bus: Bus,
    count: u32,
    publish: impl AsyncFnOnce(&str) -> Result<()>,
) -> Result<Duration> {
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
    let took = timed(async {
        publish(&channel).await?;
        countdown.done().await;
        Ok(())
    });
    let took = took.await?;
    agent.stop().await?;
    bus.close().await?;
    Ok(took)
}
