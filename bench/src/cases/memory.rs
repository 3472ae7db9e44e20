//! `memory://`: the cost of dispatch alone.

use bytes::Bytes;
use microagent::{prelude::*, status::StatusSlot};
use tokio::sync::mpsc;

use super::{
    agents::{BODY, Countdown, MAILER},
    by_hand, ours,
};
use crate::measure::{self, Cost, Line, Plan, timed};

const COUNT: u32 = 200_000;

/// Messages that wait already: receive, decode, handle, acknowledge.
pub(crate) async fn consume(plan: Plan) -> Result<Line> {
    let consume = || consume_waiting(COUNT, StatusSlot::new());
    measure::rates(plan, COUNT, consume, by_hand_at_once).await
}

/// Signals that are published as fast as they are handled.
pub(crate) async fn signal(plan: Plan) -> Result<Line> {
    let receive = || receive_published(COUNT, StatusSlot::new());
    measure::rates(plan, COUNT, receive, by_hand_meanwhile).await
}

/// Consumes `count` messages that wait already.
pub(super) async fn consume_waiting(count: u32, slot: StatusSlot) -> Result<Cost> {
    let broker = Broker::connect("memory://").await?;
    for _ in 0..count {
        let body = Bytes::from_static(BODY.as_bytes());
        let to = MAILER.into();
        broker.driver().send(&to, body, Default::default()).await?;
    }
    ours::consume_seen(broker, count, slot).await
}

/// Receives `count` signals that are published meanwhile.
pub(super) async fn receive_published(count: u32, slot: StatusSlot) -> Result<Cost> {
    let bus = Bus::connect("memory://").await?;
    let driver = bus.clone();
    let publish = async |channel: &str| {
        for _ in 0..count {
            let body = Bytes::from_static(BODY.as_bytes());
            driver.driver().publish(channel, body).await?;
        }
        Ok(())
    };
    ours::receive_seen(bus, count, publish, slot).await
}

/// Handles waiting bodies by hand. As on the other side, the clock starts when all of them wait, and the loop is a task of its
/// own: on the thread that waits for it, each message would wake another thread.
async fn by_hand_at_once() -> Result<Cost> {
    let (sender, bodies) = mpsc::unbounded_channel();
    for _ in 0..COUNT {
        // The receiver lives until the end of this function.
        let _ = sender.send(Bytes::from_static(BODY.as_bytes()));
    }
    drop(sender);
    timed(async { tokio::spawn(by_hand::handle_all(bodies, 64, Countdown::from(COUNT))).await? })
        .await
}

/// Handles bodies by hand while they come: the loop is a task of its own, as a subscription's reader is.
async fn by_hand_meanwhile() -> Result<Cost> {
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
