//! Browsing: looks at waiting messages, and moves or removes them without consuming them.

use std::sync::Arc;

use microagent_core::{Message, Queue, Result};
use redis::{ScriptInvocation, aio::ConnectionLike};

use super::{
    keys::QueueKeys,
    reply,
    scripts::{PEEK, PURGE, REQUEUE, SELECT},
    stored::StoredMessage,
};
use crate::error::{error_of, error_of_change};

/// The most messages that one script moves: the server runs nothing else meanwhile.
const MOST: usize = 1000;

/// The most messages that one reply has: each may have many megabytes.
const MOST_SHOWN: usize = 16;

/// The error text if the answer to a move is missing.
const UNKNOWN_MOVE: &str = "some of the messages may or may not have been moved";

/// The error text if the answer to a purge is missing.
const UNKNOWN_PURGE: &str = "some of the messages may or may not have been removed";

/// Returns up to `limit` waiting messages.
pub(super) async fn peek(
    connection: &mut impl ConnectionLike,
    queue: &Queue,
    limit: usize,
) -> Result<Vec<Message>> {
    let (keys, name) = (QueueKeys::of(queue.name()), Arc::from(queue.name()));
    let mut seen = Vec::new();
    while seen.len() < limit {
        let room = MOST_SHOWN.min(limit - seen.len());
        let part = look(connection, &keys, (seen.len(), room)).await?;
        if part.is_empty() {
            break;
        }
        let shown = |(id, taken): (String, StoredMessage)| taken.into_message(&name).with_id(id);
        seen.extend(part.into_iter().map(shown));
    }
    Ok(seen)
}

async fn look(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    (skip, limit): (usize, usize),
) -> Result<Vec<(String, StoredMessage)>> {
    let mut call = PEEK.key(&keys.list);
    beside(&mut call, keys).key(&keys.why).arg(skip).arg(limit);
    let reply = call.invoke_async(connection).await.map_err(error_of)?;
    reply::peek(reply)
}

/// Moves up to `limit` waiting messages to the tail of another queue, and returns how many it moved.
pub(super) async fn requeue(
    connection: &mut impl ConnectionLike,
    (from, to): (&Queue, &Queue),
    limit: u64,
    apart: bool,
) -> Result<u64> {
    let (from, to) = (QueueKeys::of(from.name()), QueueKeys::of(to.name()));
    // Not more than wait now: both may be the same queue.
    let waiting = super::scripts::length(connection, &from).await?;
    let (limit, mut moved) = (limit.min(waiting), 0);
    while moved < limit {
        let room = usize::try_from(limit - moved).unwrap_or(MOST).min(MOST);
        let count = if apart {
            u64::from(requeue_apart(connection, &from, &to).await?)
        } else {
            requeue_some(connection, &from, &to, room).await?
        };
        if count == 0 {
            break;
        }
        moved += count;
    }
    Ok(moved)
}

async fn requeue_some(
    connection: &mut impl ConnectionLike,
    from: &QueueKeys,
    to: &QueueKeys,
    limit: usize,
) -> Result<u64> {
    let mut call = REQUEUE.key(&from.list);
    beside(&mut call, from).key(&to.list).arg(limit);
    let moved = call.invoke_async(connection).await;
    moved.map_err(|error| error_of_change(error, UNKNOWN_MOVE))
}

/// As [`requeue_some`], where the two queues may be on different nodes: one message of the list, in two steps. It is sent before
/// it is removed, so that a crash between the steps makes two of it and not none.
async fn requeue_apart(
    connection: &mut impl ConnectionLike,
    from: &QueueKeys,
    to: &QueueKeys,
) -> Result<bool> {
    // The messages that a blocking move has put aside come before the list.
    while put_back_one(connection, from).await? {}
    let mut look = redis::cmd("LINDEX");
    let first = look.arg(&from.list).arg(0).query_async(connection).await;
    let first: Option<Vec<u8>> = first.map_err(error_of)?;
    let Some(body) = first else {
        return Ok(false);
    };
    let mut send = redis::cmd("RPUSH");
    let sent = send.arg(&to.list).arg(&body).query_async(connection).await;
    let () = sent.map_err(|error| error_of_change(error, UNKNOWN_MOVE))?;
    let mut remove = redis::cmd("LREM");
    let removed = remove
        .arg(&from.list)
        .arg(1)
        .arg(body)
        .query_async(connection)
        .await;
    removed.map_err(|error| error_of_change(error, UNKNOWN_MOVE))
}

async fn put_back_one(connection: &mut impl ConnectionLike, queue: &QueueKeys) -> Result<bool> {
    let mut put_back = redis::cmd("LMOVE");
    put_back
        .arg(&queue.inbox)
        .arg(&queue.list)
        .arg("RIGHT")
        .arg("LEFT");
    let body: Option<Vec<u8>> = put_back.query_async(connection).await.map_err(error_of)?;
    Ok(body.is_some())
}

/// Moves one message to the tail of another queue. Returns false if it does not wait.
pub(super) async fn requeue_one(
    connection: &mut impl ConnectionLike,
    (from, to): (&Queue, &Queue),
    id: &str,
    apart: bool,
) -> Result<bool> {
    let (from, to) = (QueueKeys::of(from.name()), QueueKeys::of(to.name()));
    if !apart {
        return select(connection, &from, "move", id, Some(&to))
            .await
            .map(|body| body.is_some());
    }
    // Sent before it is removed, so that a crash between the steps makes two of it and not none.
    let Some(body) = select(connection, &from, "look", id, None).await? else {
        return Ok(false);
    };
    let mut send = redis::cmd("RPUSH");
    let sent = send.arg(&to.list).arg(body).query_async(connection).await;
    let () = sent.map_err(|error| error_of_change(error, UNKNOWN_MOVE))?;
    select(connection, &from, "remove", id, None).await?;
    Ok(true)
}

/// Removes one message. Returns false if it does not wait.
pub(super) async fn purge_one(
    connection: &mut impl ConnectionLike,
    queue: &Queue,
    id: &str,
) -> Result<bool> {
    let keys = QueueKeys::of(queue.name());
    let body = select(connection, &keys, "remove", id, None).await?;
    Ok(body.is_some())
}

async fn select(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    action: &str,
    id: &str,
    to: Option<&QueueKeys>,
) -> Result<Option<Vec<u8>>> {
    let mut call = SELECT.key(&keys.list);
    beside(&mut call, keys).key(&keys.why);
    if let Some(to) = to {
        call.key(&to.list);
    }
    let body = call.arg(action).arg(id).invoke_async(connection).await;
    let unknown = match action {
        "remove" => UNKNOWN_PURGE,
        _ => UNKNOWN_MOVE,
    };
    body.map_err(|error| error_of_change(error, unknown))
}

/// Removes waiting messages, at most `limit` from the head, and returns how many it removed.
pub(super) async fn purge(
    connection: &mut impl ConnectionLike,
    queue: &Queue,
    limit: u64,
) -> Result<u64> {
    let keys = QueueKeys::of(queue.name());
    // Not more than wait now: with a producer that continues it would not end.
    let waiting = super::scripts::length(connection, &keys).await?;
    let (limit, mut removed) = (limit.min(waiting), 0);
    while removed < limit {
        let room = usize::try_from(limit - removed).unwrap_or(MOST).min(MOST);
        let mut call = PURGE.key(&keys.list);
        beside(&mut call, &keys).key(&keys.why).arg(room);
        let count = call.invoke_async(connection).await;
        let count: u64 = count.map_err(|error| error_of_change(error, UNKNOWN_PURGE))?;
        if count == 0 {
            break;
        }
        removed += count;
    }
    Ok(removed)
}

/// Adds the keys of the messages that wait outside of the list.
fn beside<'a, 'b>(
    call: &'b mut ScriptInvocation<'a>,
    keys: &QueueKeys,
) -> &'b mut ScriptInvocation<'a> {
    call.key(&keys.inbox)
        .key(&keys.due)
        .key(&keys.suspects)
        .key(&keys.later)
        .key(&keys.meta)
}

#[cfg(test)]
mod tests;
