//! Suspects: messages that were out of their queue when a connection ended. RabbitMQ marks them, and it marks all that the
//! connection had, so each is moved aside and run alone once. Only what runs alone when its process dies is counted again.

use std::{sync::Arc, time::Duration};

use lapin::options::BasicGetOptions;
use microagent_core::{
    Result,
    driver::{Cleared, Outage},
};
use tokio::time::sleep;
use tracing::warn;

use super::{
    buffer::Item,
    consumer::Consumer,
    session::{Session, Settling},
    topology,
};
use crate::{error::error_of, properties::short};

/// The pause between looks into the queue of suspects if this process moved nothing there: another process may have died.
const LOOK: Duration = Duration::from_secs(5);

/// The pause before the driver tries again to run a suspect alone, if no message was settled.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Delivers suspects until the consumer stops.
pub(super) async fn run(consumer: Arc<Consumer>) {
    let _ended = consumer.ended_suspects.clone().drop_guard();
    let mut outage = Outage::default();
    while !consumer.stopping.is_cancelled() {
        let error = match take_all(&consumer).await {
            Ok(()) => {
                outage.end();
                continue;
            }
            Err(error) => error,
        };
        if outage.is_news(&error) {
            warn!(queue = consumer.name(), %error, "cannot take suspects; will keep retrying");
        }
        consumer.unless_stopping(sleep(outage.pause())).await;
    }
}

/// Waits for suspects and delivers them over one channel, until there are no more or the consumer stops.
async fn take_all(consumer: &Arc<Consumer>) -> Result<()> {
    let queue = consumer.suspects().name();
    let Some(up) = consumer.unless_stopping(consumer.link.next_up()).await else {
        return Ok(());
    };
    let up = up?;
    while topology::waiting(&up, &queue).await?.unwrap_or_default() == 0 {
        let moved = async {
            tokio::select! {
                () = consumer.suspected.notified() => {}
                () = sleep(LOOK) => {}
            }
        };
        if consumer.unless_stopping(moved).await.is_none() {
            return Ok(());
        }
    }
    let session = consumer.session(&up, true).await?;
    while take_one(consumer, &session, &queue).await? {}
    Ok(())
}

/// Delivers one suspect when this process has nothing in flight, and waits until it is settled. Returns false if there is none,
/// or the consumer stops.
async fn take_one(consumer: &Arc<Consumer>, session: &Arc<Session>, queue: &str) -> Result<bool> {
    let freed = consumer.freed.notified();
    let Some(cleared) = consumer.unless_stopping(consumer.gate.clear()).await else {
        return Ok(false);
    };
    let Some(cleared) = cleared else {
        // Another consumer of this process has one, or waits for it.
        tokio::select! {
            () = freed => {}
            () = sleep(ASK_AGAIN) => {}
        }
        return Ok(true);
    };
    let name = short(queue, "the name of a queue")?;
    let getting = session.channel.basic_get(name, BasicGetOptions::default());
    // A message that arrives after the driver gave up waiting would count as one that killed its process.
    let found = getting.await.map_err(|error| error_of(&error))?;
    let Some(found) = found else { return Ok(false) };
    let tag = found.delivery.delivery_tag;
    let message = session.delivered(tag, found.delivery.into());
    if message.redelivered {
        // It ran alone when its process died. At the tail it is counted, and others come first.
        let settling = Settling {
            tag,
            place: None,
            done: None,
        };
        session.move_to(settling, consumer.suspicion(&message));
        session.flush().await;
        return Ok(true);
    }
    let item = Item {
        session: Arc::clone(session),
        tag,
        message,
    };
    hand_out(consumer, cleared, item).await;
    Ok(session.is_open())
}

/// Hands a suspect out and waits until it is settled, which takes as long as its handler does.
async fn hand_out(consumer: &Arc<Consumer>, cleared: Cleared<'_>, item: Item) {
    cleared.found_suspect();
    let (place, session) = (consumer.place(), Arc::clone(&item.session));
    let freed = consumer.freed.notified();
    if let Some((item, place)) = consumer.buffer.push_suspect(item, place) {
        consumer.give_back(item, Some(place), true);
    }
    let lost = async {
        while session.is_open() {
            sleep(ASK_AGAIN).await;
        }
    };
    tokio::select! {
        () = freed => {}
        () = lost => {}
        () = consumer.stopping.cancelled() => {}
    }
}
