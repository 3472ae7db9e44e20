//! The scripts that settle messages.

use std::time::Duration;

use microagent_core::Result;
use redis::{ScriptInvocation, Value, aio::ConnectionLike};

use super::{ACK, DEAD_LETTER, GIVE_BACK, RETRY, STORE_DEAD_LETTER, millis};
use crate::{
    broker::{
        keys::{Identity, QueueKeys},
        stored::Meta,
    },
    error::error_of,
};

/// The reply to a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broker) struct SettleReply {
    /// The number of messages that were in flight, and are settled now.
    pub(in crate::broker) count: usize,
    /// True if the consumer has its lease, so that no other consumer can have received the rest.
    pub(in crate::broker) has_lease: bool,
    /// The ids that were not in flight. A script that settles one message returns none.
    pub(in crate::broker) missing: Vec<u64>,
}

/// Runs a script that settles one message.
async fn settle_one(
    call: &ScriptInvocation<'_>,
    connection: &mut impl ConnectionLike,
) -> Result<SettleReply> {
    let (count, has_lease) = call.invoke_async(connection).await.map_err(error_of)?;
    Ok(SettleReply {
        count,
        has_lease,
        missing: Vec::new(),
    })
}

/// Runs a script that settles several messages.
async fn settle_all(
    call: &ScriptInvocation<'_>,
    connection: &mut impl ConnectionLike,
) -> Result<SettleReply> {
    let reply = call.invoke_async(connection).await;
    let (count, has_lease, missing) = reply.map_err(error_of)?;
    Ok(SettleReply {
        count,
        has_lease,
        missing,
    })
}

/// Removes handled messages.
pub(in crate::broker) async fn ack(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    ids: &[u64],
) -> Result<SettleReply> {
    let mut call = ACK.key(&who.taken);
    call.key(&who.queue.meta).key(&who.queue.leases);
    call.arg(&who.consumer);
    for id in ids {
        call.arg(id);
    }
    settle_all(&call, connection).await
}

/// Keeps a message for its next attempt.
pub(in crate::broker) async fn retry(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    id: u64,
    after: Duration,
    next: Meta,
) -> Result<SettleReply> {
    let keys = &who.queue;
    let mut call = RETRY.key(&who.taken);
    call.key(&keys.due)
        .key(&keys.later)
        .key(&keys.meta)
        .key(&keys.leases)
        .arg(&who.consumer)
        .arg(id)
        .arg(millis(after))
        .arg(next.to_text());
    settle_one(&call, connection).await
}

/// Returns messages to the queue that were not handled.
pub(in crate::broker) async fn give_back(
    connection: &mut impl ConnectionLike,
    who: &Identity,
    ids: &[u64],
) -> Result<SettleReply> {
    let keys = &who.queue;
    let mut call = GIVE_BACK.key(&keys.list);
    call.key(&who.taken)
        .key(&keys.due)
        .key(&keys.later)
        .key(&keys.meta)
        .key(&keys.suspects);
    call.key(&keys.bad).key(&keys.leases).arg(&who.consumer);
    for id in ids.iter().rev() {
        call.arg(id);
    }
    settle_all(&call, connection).await
}

/// A message that becomes a dead letter.
pub(in crate::broker) struct DeadLetter<'a> {
    pub(in crate::broker) queue: &'a QueueKeys,
    /// The hash in which it is: what a consumer has in flight, or the messages whose records are unreadable.
    pub(in crate::broker) hash: &'a str,
    pub(in crate::broker) consumer: &'a str,
    pub(in crate::broker) id: &'a [u8],
    pub(in crate::broker) dead: &'a QueueKeys,
    pub(in crate::broker) why: &'a str,
}

impl DeadLetter<'_> {
    /// Moves it to the queue of dead letters; `apart` if that may be on another node.
    pub(in crate::broker) async fn move_to_queue(
        &self,
        connection: &mut impl ConnectionLike,
        apart: bool,
    ) -> Result<SettleReply> {
        if apart {
            return self.move_in_two_steps(connection).await;
        }
        let mut call = DEAD_LETTER.key(self.hash);
        call.key(&self.queue.meta)
            .key(&self.dead.list)
            .key(&self.dead.why)
            .key(&self.queue.leases);
        call.arg(self.consumer).arg(self.id).arg(self.why);
        settle_one(&call, connection).await
    }

    /// Moves it in two steps, of which the first may be repeated.
    async fn move_in_two_steps(&self, connection: &mut impl ConnectionLike) -> Result<SettleReply> {
        let mut look = redis::cmd("HGET");
        let body = look.arg(self.hash).arg(self.id).query_async(connection);
        let body: Option<Vec<u8>> = body.await.map_err(error_of)?;
        if let Some(body) = body {
            let mut call = STORE_DEAD_LETTER.key(&self.dead.list);
            call.key(&self.dead.why).arg(body).arg(self.why);
            let () = call.invoke_async(connection).await.map_err(error_of)?;
        }
        let mut remove = ACK.key(self.hash);
        remove.key(&self.queue.meta).key(&self.queue.leases);
        remove.arg(self.consumer).arg(self.id);
        // Not `settle_all`: the id of an unreadable record need not be a number.
        let reply = remove.invoke_async(connection).await;
        let (count, has_lease, _): (_, _, Value) = reply.map_err(error_of)?;
        Ok(SettleReply {
            count,
            has_lease,
            missing: Vec::new(),
        })
    }
}
