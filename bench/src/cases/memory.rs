//! `memory://`: what dispatch itself costs.

use std::time::Duration;

use bytes::Bytes;
use microagent::prelude::*;
use tokio::sync::mpsc;

use super::{
    agents::{BODY, Countdown, Counting, MAILER, UserCreated},
    by_hand,
};
use crate::measure::{self, Line, timed};

const COUNT: u32 = 200_000;

/// Messages that wait already: taken, decoded, handled, acknowledged.
pub(crate) async fn consume(rounds: u32) -> Result<Line> {
    let ours = || async {
        let broker = Broker::connect("memory://").await?;
        for _ in 0..COUNT {
            broker
                .driver()
                .send(
                    &MAILER.into(),
                    Bytes::from_static(BODY.as_bytes()),
                    Default::default(),
                )
                .await?;
        }
        let countdown = Countdown::from(COUNT);
        let agent = Counting {
            countdown: countdown.clone(),
        };
        let agent = Agent::new(agent)
            .bus(Bus::connect("memory://").await?)
            .broker(broker);
        let (agent, took) = starting(agent, &countdown).await?;
        agent.stop().await?;
        Ok(took)
    };
    measure::rates(rounds, COUNT, ours, by_hand_at_once).await
}

/// Signals that are published as fast as they are heard.
pub(crate) async fn signal(rounds: u32) -> Result<Line> {
    let ours = || async {
        let bus = Bus::connect("memory://").await?;
        let countdown = Countdown::from(COUNT);
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
            for _ in 0..COUNT {
                bus.driver()
                    .publish(&channel, Bytes::from_static(BODY.as_bytes()))
                    .await?;
            }
            countdown.done().await;
            Ok(())
        });
        let took = took.await?;
        agent.stop().await?;
        Ok(took)
    };
    measure::rates(rounds, COUNT, ours, by_hand_meanwhile).await
}

async fn starting(
    agent: Agent<Counting>,
    countdown: &Countdown,
) -> Result<(RunningAgent<Counting>, Duration)> {
    let began = std::time::Instant::now();
    let agent = agent.start().await?;
    countdown.done().await;
    Ok((agent, began.elapsed()))
}

/// What waits already, by hand.
async fn by_hand_at_once() -> Result<Duration> {
    let (sender, bodies) = mpsc::unbounded_channel();
    let countdown = Countdown::from(COUNT);
    timed(async {
        for _ in 0..COUNT {
            // The receiver lives until the end of this block.
            let _ = sender.send(Bytes::from_static(BODY.as_bytes()));
        }
        drop(sender);
        by_hand::handle_all(bodies, 64, countdown).await
    })
    .await
}

/// What comes while it is handled, by hand: the loop is a task of its own, as a subscription's reader is.
async fn by_hand_meanwhile() -> Result<Duration> {
    let (sender, bodies) = mpsc::unbounded_channel();
    let countdown = Countdown::from(COUNT);
    timed(async {
        let handling = tokio::spawn(by_hand::handle_all(bodies, 1024, countdown));
        for _ in 0..COUNT {
            // The receiver lives as long as the task.
            let _ = sender.send(Bytes::from_static(BODY.as_bytes()));
        }
        drop(sender);
        handling.await?
    })
    .await
}
