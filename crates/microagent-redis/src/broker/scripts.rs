//! The scripts by which messages move, each in one atomic step. Their keys and arguments are explained in `lua/`.

use std::{sync::LazyLock, time::Duration};

use microagent_core::{Lease, Result};
use redis::{Script, Value, aio::ConnectionLike};

use super::{
    keys::{Identity, QueueKeys},
    reply::{self, Found, Suspect},
    taken::Meta,
};
use crate::{connection::Commands, error::error_of};

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file))));)*
    };
}

scripts! {
    JOIN = "join.lua";
    TAKE = "take.lua";
    SUSPECT = "suspect.lua";
    ACK = "ack.lua";
    RETRY = "retry.lua";
    GIVE_BACK = "give_back.lua";
    BURY = "bury.lua";
    PARK = "park.lua";
    LEAVE = "leave.lua";
    EXPIRED = "expired.lua";
    RECOVER = "recover.lua";
    LENGTH = "length.lua";
    HOLD = "hold.lua";
    PEEK = "peek.lua";
    REQUEUE = "requeue.lua";
    PURGE = "purge.lua";
}

/// Begins a lease, or prolongs it; false when there is none any more.
pub(super) async fn lease(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    lasts: Duration,
    is_new: bool,
) -> Result<bool> {
    let mode = if is_new { "new" } else { "again" };
    let mut call = JOIN.key(&who.queue.leases);
    call.arg(&who.consumer).arg(millis(lasts)).arg(mode);
    call.invoke_async(connection).await.map_err(error_of)
}

/// Takes up to `limit` messages.
pub(super) async fn take(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    limit: usize,
) -> Result<Found> {
    let keys = &who.queue;
    let mut call = TAKE.key(&keys.list);
    call.key(&who.inbox)
        .key(&who.taken)
        .key(&keys.ids)
        .key(&keys.due)
        .key(&keys.later);
    call.key(&keys.meta)
        .key(&keys.leases)
        .key(&keys.suspects)
        .key(&keys.why);
    call.arg(&who.consumer).arg(limit.min(1000));
    let reply: Vec<Value> = call.invoke_async(connection).await.map_err(error_of)?;
    reply::found(reply)
}

/// Takes one suspect.
pub(super) async fn take_suspect(
    connection: &mut impl ConnectionLike,
    who: &Identity,
) -> Result<Suspect> {
    let keys = &who.queue;
    let mut call = SUSPECT.key(&who.taken);
    call.key(&keys.later)
        .key(&keys.meta)
        .key(&keys.leases)
        .key(&keys.suspects)
        .arg(&who.consumer);
    let reply: Vec<Value> = call.invoke_async(connection).await.map_err(error_of)?;
    reply::suspect(reply)
}

/// Removes handled messages, and says how many of them were still in flight.
pub(super) async fn ack(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    ids: &[u64],
) -> Result<usize> {
    let mut call = ACK.key(&who.taken);
    call.key(&who.queue.meta);
    for id in ids {
        call.arg(id);
    }
    call.invoke_async(connection).await.map_err(error_of)
}

/// Puts a message aside for its next attempt; false when it was not in flight any more.
pub(super) async fn retry(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    id: u64,
    after: Duration,
    next: Meta,
) -> Result<bool> {
    let keys = &who.queue;
    let mut call = RETRY.key(&who.taken);
    call.key(&keys.due)
        .key(&keys.later)
        .key(&keys.meta)
        .arg(id)
        .arg(millis(after))
        .arg(next.to_text());
    call.invoke_async(connection).await.map_err(error_of)
}

/// Gives messages back, and says how many of them were still in flight.
pub(super) async fn give_back(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    ids: &[u64],
) -> Result<usize> {
    let keys = &who.queue;
    let mut call = GIVE_BACK.key(&keys.list);
    call.key(&who.taken)
        .key(&keys.due)
        .key(&keys.later)
        .key(&keys.meta)
        .key(&keys.suspects);
    for id in ids.iter().rev() {
        call.arg(id);
    }
    call.invoke_async(connection).await.map_err(error_of)
}

/// Moves a message to a queue of dead letters; false when it was not in flight any more.
pub(super) async fn bury(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    id: u64,
    dead: &QueueKeys,
    why: &str,
) -> Result<bool> {
    let mut call = BURY.key(&who.taken);
    call.key(&who.queue.meta)
        .key(&dead.list)
        .key(&dead.why)
        .arg(id)
        .arg(why);
    call.invoke_async(connection).await.map_err(error_of)
}

/// As [`bury`], where the two queues may be on different nodes: in two steps, of which the first may be repeated.
pub(super) async fn bury_apart(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    id: u64,
    dead: &QueueKeys,
    why: &str,
) -> Result<bool> {
    let mut look = redis::cmd("HGET");
    let body = look.arg(&who.taken).arg(id).query_async(connection);
    let body: Option<Vec<u8>> = body.await.map_err(error_of)?;
    let Some(body) = body else {
        return Ok(false);
    };
    let mut call = PARK.key(&dead.list);
    call.key(&dead.why).arg(body).arg(why);
    let () = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(ack(connection, who, &[id]).await? == 1)
}

/// Ends a consumer; what it has in flight goes back. With `unless_busy`, false when it has something in flight.
pub(super) async fn leave(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    unless_busy: bool,
) -> Result<bool> {
    let keys = &who.queue;
    let mut call = LEAVE.key(&keys.list);
    call.key(&who.inbox)
        .key(&who.taken)
        .key(&keys.due)
        .key(&keys.later);
    call.key(&keys.meta).key(&keys.leases).key(&keys.suspects);
    call.arg(&who.consumer)
        .arg(if unless_busy { "unless_busy" } else { "" });
    call.invoke_async(connection).await.map_err(error_of)
}

/// The consumers whose leases have ended, and when.
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

/// Makes suspects of what a dead consumer had in flight; none when it lives, or was recovered by another.
pub(super) async fn recover(
    connection: &mut impl ConnectionLike,
    keys: &QueueKeys,
    consumer: &str,
    lease_end: &str,
) -> Result<Option<u64>> {
    let mut call = RECOVER.key(&keys.list);
    call.key(keys.inbox(consumer))
        .key(keys.taken(consumer))
        .key(&keys.later)
        .key(&keys.meta);
    call.key(&keys.leases)
        .key(&keys.suspects)
        .arg(consumer)
        .arg(lease_end);
    let suspects: i64 = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(u64::try_from(suspects).ok())
}

/// How many messages wait.
pub(super) async fn length(connection: &mut impl ConnectionLike, keys: &QueueKeys) -> Result<u64> {
    let mut call = LENGTH.key(&keys.list);
    call.key(&keys.due).key(&keys.suspects);
    call.invoke_async(connection).await.map_err(error_of)
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
    let (granted, left): (bool, i64) = call.invoke_async(connection).await.map_err(error_of)?;
    if granted {
        return Ok(Lease::Granted);
    }
    let left = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
    Ok(Lease::Held { left })
}

/// The server's number of a connection; none in a cluster, whose nodes count apart, and where the user may not ask.
pub(super) async fn client_id(connection: &mut Commands) -> Option<u64> {
    if connection.is_cluster() {
        return None;
    }
    let id = redis::cmd("CLIENT").arg("ID").query_async(connection).await;
    id.ok()
}

/// Has a blocking command of another connection end as if its time were over.
pub(super) async fn unblock(connection: &mut Commands, client: u64) {
    let mut unblock = redis::cmd("CLIENT");
    let unblock = unblock.arg("UNBLOCK").arg(client);
    // It may not be blocked any more.
    let _: redis::RedisResult<u64> = unblock.query_async(connection).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
