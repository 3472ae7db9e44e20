//! `memory://`: what dispatch itself costs.

use std::time::Duration;

use bytes::Bytes;
use microagent::prelude::*;
use tokio::sync::mpsc;

use super::{
    agents::{BODY, Countdown, MAILER},
    by_hand, ours,
};
use crate::measure::{self, Line, timed};

const COUNT: u32 = 200_000;

/// Messages that wait already: taken, decoded, handled, acknowledged.
pub(crate) async fn consume(rounds: u32) -> Result<Line> {
    let consume = || async {
        let broker = Broker::connect("memory://").await?;
        for _ in 0..COUNT {
            let body = Bytes::from_static(BODY.as_bytes());
            let to = MAILER.into();
            broker.driver().send(&to, body, Default::default()).await?;
        }
        ours::consume(broker, COUNT).await
    };
    measure::rates(rounds, COUNT, consume, by_hand_at_once).await
}

/// Signals that are published as fast as they are heard.
pub(crate) async fn signal(rounds: u32) -> Result<Line> {
    let hear = || async {
        let bus = Bus::connect("memory://").await?;
        let driver = bus.clone();
        let publish = async |channel: &str| {
            for _ in 0..COUNT {
                let body = Bytes::from_static(BODY.as_bytes());
                driver.driver().publish(channel, body).await?;
            }
            Ok(())
        };
        ours::hear(bus, COUNT, publish).await
    };
    measure::rates(rounds, COUNT, hear, by_hand_meanwhile).await
}

/// What waits already, by hand. As on the other side, the clock starts when all of it waits.
async fn by_hand_at_once() -> Result<Duration> {
    let (sender, bodies) = mpsc::unbounded_channel();
    for _ in 0..COUNT {
        // The receiver lives until the end of this function.
        let _ = sender.send(Bytes::from_static(BODY.as_bytes()));
    }
    drop(sender);
    timed(by_hand::handle_all(bodies, 64, Countdown::from(COUNT))).await
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
