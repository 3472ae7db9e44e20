//! The scripts that move messages, each in one atomic step. The files in `lua/` explain their keys and arguments.

use std::{sync::LazyLock, time::Duration};

use microagent_core::{Depth, ErrorKind, Lease, Result};
use redis::{Script, Value, aio::ConnectionLike};

use super::{
    keys::{Identity, QueueKeys},
    reply::{self, SuspectReply, TakeReply},
};
use crate::{
    connection::Commands,
    error::{error_of, error_of_change},
};

mod settlements;

pub(super) use self::settlements::{DeadLetter, SettleReply, ack, give_back, retry};

/// Each script, with the functions that several of them use in front.
macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("../lua/common.lua"), include_str!(concat!("../lua/", $file))))
        });)*
    };
}

scripts! {
    JOIN = "join.lua";
    TAKE = "take.lua";
    SUSPECT = "suspect.lua";
    RECONCILE = "reconcile.lua";
    ACK = "ack.lua";
    RETRY = "retry.lua";
    GIVE_BACK = "give_back.lua";
    DEAD_LETTER = "dead_letter.lua";
    STORE_DEAD_LETTER = "store_dead_letter.lua";
    EXPIRED = "expired.lua";
    ORPHANS = "orphans.lua";
    RESTORE = "restore.lua";
    RECOVER = "recover.lua";
    RELEASE = "release.lua";
    LENGTH = "length.lua";
    DEPTH = "depth.lua";
    HOLD = "hold.lua";
    PEEK = "peek.lua";
    REQUEUE = "requeue.lua";
    PURGE = "purge.lua";
    SELECT = "select.lua";
}

/// The reply to a consumer that asks for its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinReply {
    Yes,
    /// The lease is gone, and with it the messages that the consumer had in flight.
    LeaseLost,
    /// The lease is gone, and with it everything that the server knew of the queue.
    AllLost,
}

/// Starts a lease, or prolongs it.
pub(super) async fn join(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    lasts: Duration,
    is_new: bool,
) -> Result<JoinReply> {
    let mode = if is_new { "new" } else { "again" };
    let mut call = JOIN.key(&who.queue.leases);
    call.key(&who.taken).key(&who.queue.ids);
    call.arg(&who.consumer).arg(millis(lasts)).arg(mode);
    let joined: i64 = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(match joined {
        1 => JoinReply::Yes,
        0 => JoinReply::LeaseLost,
        _ => JoinReply::AllLost,
    })
}

/// Takes up to `limit` messages.
pub(super) async fn take(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    limit: usize,
) -> Result<TakeReply> {
    let keys = &who.queue;
    let mut call = TAKE.key(&keys.list);
    call.key(&keys.inbox)
        .key(&who.taken)
        .key(&keys.ids)
        .key(&keys.due)
        .key(&keys.later);
    call.key(&keys.meta)
        .key(&keys.leases)
        .key(&keys.suspects)
        .key(&keys.why)
        .key(&keys.bad);
    call.arg(&who.consumer).arg(limit.min(1000));
    let reply: Vec<Value> = call.invoke_async(connection).await.map_err(error_of)?;
    reply::take(reply)
}

/// Takes one suspect.
pub(super) async fn take_suspect(
    connection: &mut impl ConnectionLike,
    who: &Identity,
) -> Result<SuspectReply> {
    let keys = &who.queue;
    let mut call = SUSPECT.key(&who.taken);
    call.key(&keys.later)
        .key(&keys.meta)
        .key(&keys.leases)
        .key(&keys.suspects)
        .key(&keys.bad)
        .arg(&who.consumer);
    let reply: Vec<Value> = call.invoke_async(connection).await.map_err(error_of)?;
    reply::suspect(reply)
}

/// The reply to a consumer that compares its messages in flight with those that it knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReconcileReply {
    /// The number of messages that the consumer did not know of. They are back in the queue.
    pub(super) given_back: u64,
    /// True if the consumer has left, because it had nothing else in flight.
    pub(super) left: bool,
}

/// Returns the messages to the queue that a consumer has in flight and does not know of.
pub(super) async fn reconcile(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    known: &[u64],
    leaves: bool,
) -> Result<ReconcileReply> {
    let keys = &who.queue;
    let mut call = RECONCILE.key(&keys.list);
    call.key(&keys.inbox)
        .key(&who.taken)
        .key(&keys.due)
        .key(&keys.later)
        .key(&keys.meta);
    call.key(&keys.suspects).key(&keys.bad).key(&keys.leases);
    call.arg(&who.consumer)
        .arg(if leaves { "leave" } else { "stay" });
    for id in known {
        call.arg(id);
    }
    let (given_back, left) = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(ReconcileReply { given_back, left })
}

/// Returns the consumers whose leases have ended, each with the end.
pub(super) async fn expired(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
) -> Result<Vec<(String, String)>> {
    EXPIRED
        .key(&keys.leases)
        .invoke_async(connection)
        .await
        .map_err(error_of)
}

/// Looks through a part of the server's keys, and returns where to go on and which consumers have something in flight and no
/// lease.
pub(super) async fn orphans(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    cursor: &str,
) -> Result<(String, Vec<String>)> {
    let mut call = ORPHANS.key(&keys.leases);
    call.arg(cursor).arg(keys.of_consumers()).arg(keys.beside());
    call.invoke_async(connection).await.map_err(error_of)
}

/// Looks through a part of the messages that are set aside, and returns where to go on and how many of them were in no order of
/// waiting, which wait again now.
pub(super) async fn restore(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    cursor: &str,
) -> Result<(String, u64)> {
    let mut call = RESTORE.key(&keys.later);
    call.key(&keys.due)
        .key(&keys.suspects)
        .key(&keys.meta)
        .arg(cursor);
    call.invoke_async(connection).await.map_err(error_of)
}

/// Makes suspects of the messages that a dead consumer had in flight, and returns how many. `None` if the consumer lives or
/// was recovered by another one. `lease_end` is empty for a consumer without a lease.
pub(super) async fn recover(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    consumer: &str,
    lease_end: &str,
) -> Result<Option<u64>> {
    let mut call = RECOVER.key(&keys.list);
    call.key(&keys.inbox)
        .key(keys.old_inbox(consumer))
        .key(keys.taken(consumer))
        .key(&keys.later)
        .key(&keys.meta);
    call.key(&keys.leases)
        .key(&keys.suspects)
        .key(&keys.bad)
        .arg(consumer)
        .arg(lease_end);
    let suspects: i64 = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(u64::try_from(suspects).ok())
}

/// Returns the number of waiting messages.
pub(super) async fn length(connection: &mut impl ConnectionLike, keys: &QueueKeys) -> Result<u64> {
    let mut call = LENGTH.key(&keys.list);
    call.key(&keys.inbox).key(&keys.due).key(&keys.suspects);
    call.invoke_async(connection).await.map_err(error_of)
}

/// Counts the messages of a queue by state.
pub(super) async fn depth(connection: &mut impl ConnectionLike, keys: &QueueKeys) -> Result<Depth> {
    let mut list = redis::cmd("ZRANGE");
    let consumers = list.arg(&keys.leases).arg(0).arg(-1);
    let consumers: Vec<String> = consumers.query_async(connection).await.map_err(error_of)?;
    let mut call = DEPTH.key(&keys.list);
    call.key(&keys.inbox).key(&keys.due).key(&keys.suspects);
    for consumer in consumers {
        call.key(keys.taken(&consumer));
    }
    let reply: (u64, u64, u64) = call.invoke_async(connection).await.map_err(error_of)?;
    let mut depth = Depth::of_waiting(reply.0);
    (depth.in_flight, depth.delayed) = (Some(reply.1), Some(reply.2));
    Ok(depth)
}

/// The longest lease of a key: a hundred years.
const LONGEST_HOLD: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Takes a key for a holder.
pub(super) async fn hold(
    connection: &mut impl ConnectionLike,
    key: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Lease> {
    let ttl = ttl.clamp(Duration::from_millis(1), LONGEST_HOLD);
    let mut call = HOLD.key(key);
    call.arg(holder).arg(millis(ttl));
    let reply = call.invoke_async(connection).await;
    let unknown = |error| error_of_change(error, "the lease may or may not be held now");
    let (granted, left): (bool, i64) = reply.map_err(unknown)?;
    if granted {
        return Ok(Lease::Granted);
    }
    let left = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
    Ok(Lease::Held { left })
}

/// Returns the server's number of a connection. `None` in a cluster, whose nodes count separately, and if the user may not ask.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable).
pub(super) async fn client_id(connection: &mut Commands) -> Result<Option<u64>> {
    if connection.is_cluster() {
        return Ok(None);
    }
    let id = redis::cmd("CLIENT").arg("ID").query_async(connection).await;
    match id.map_err(error_of) {
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        id => Ok(id.ok()),
    }
}

/// Ends a blocking command of another connection, as if its time were over.
pub(super) async fn unblock(connection: &mut Commands, client: u64) {
    let mut unblock = redis::cmd("CLIENT");
    let unblock = unblock.arg("UNBLOCK").arg(client);
    // It may no longer be blocked.
    let _: redis::RedisResult<u64> = unblock.query_async(connection).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
