//! Moves and removes waiting messages, and shows dead letters.

use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions, QueuePurgeOptions},
};
use microagent_core::{DEAD_LETTER_SUFFIX, Error, ErrorKind, Message, Queue, Result, Selection};

use super::{
    publish::Publisher,
    topology::{self, close},
};
use crate::{
    connection::{Up, within},
    error::{error_of, is_not_found},
    message::Received,
    properties::short,
};

/// Returns the dead letters of a queue, from the head on. Other queues are refused: RabbitMQ marks each message that it
/// shows as delivered before, as it marks one whose consumer died, and a quorum queue gives up a message that was shown often.
pub(super) async fn peek(
    up: &Up,
    queue: &Queue,
    limit: usize,
    address: &str,
) -> Result<Vec<Message>> {
    if !queue.name().ends_with(DEAD_LETTER_SUFFIX) {
        let text = format!(
            "looking into `{queue}` is not supported by `{address}`: RabbitMQ would mark its messages as those of a crashed consumer; \
             dead letters can be looked at"
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let channel = up.channel().await?;
    let mut shown = Vec::new();
    while shown.len() < limit {
        match get(&channel, queue.name()).await? {
            Some(found) => shown.push(Received::from(found.delivery).message(queue.name())),
            None => break,
        }
    }
    // Messages that were not acknowledged are in their place again.
    close(channel).await;
    Ok(shown)
}

/// Moves messages one by one: each is stored in the other queue before it is removed.
pub(super) async fn requeue(
    up: &Up,
    publisher: &Publisher,
    (from, to): (&Queue, &Queue),
    limit: u64,
) -> Result<u64> {
    take(up, from, limit, Some((publisher, to))).await
}

/// Removes messages from the head.
pub(super) async fn purge(up: &Up, queue: &Queue, which: &Selection, address: &str) -> Result<u64> {
    if *which != Selection::All {
        return take(up, queue, which.limit(address)?, None).await;
    }
    let channel = up.channel().await?;
    let name = short(queue.name(), "the name of a queue")?;
    match within(channel.queue_purge(name, QueuePurgeOptions::default())).await? {
        Ok(removed) => Ok(removed.into()),
        Err(error) if is_not_found(&error) => Ok(0),
        Err(error) => Err(error_of(&error).context(format!("cannot purge queue `{queue}`"))),
    }
}

/// Removes messages that wait now, at most `limit`; each after its copy is stored in the other queue.
async fn take(up: &Up, queue: &Queue, limit: u64, to: Option<(&Publisher, &Queue)>) -> Result<u64> {
    let Some(waiting) = topology::waiting(up, queue.name()).await? else {
        return Ok(0);
    };
    let channel = up.channel().await?;
    let mut taken = 0;
    while taken < waiting.min(limit) {
        let Some(found) = get(&channel, queue.name()).await? else {
            break;
        };
        let tag = found.delivery.delivery_tag;
        if let Some((publisher, to)) = to {
            let copy = Received::from(found.delivery).renewed(to.name().to_owned());
            publisher.publish(&copy).await?;
        }
        let removed = within(channel.basic_ack(tag, BasicAckOptions::default())).await?;
        removed.map_err(|error| error_of(&error))?;
        taken += 1;
    }
    close(channel).await;
    Ok(taken)
}

async fn get(channel: &Channel, queue: &str) -> Result<Option<BasicGetMessage>> {
    let name = short(queue, "the name of a queue")?;
    // A message that arrives after the driver gave up waiting would count as one whose consumer died.
    match channel.basic_get(name, BasicGetOptions::default()).await {
        Ok(found) => Ok(found),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error_of(&error).context(format!("queue `{queue}`"))),
    }
}
