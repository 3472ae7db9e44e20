//! The release of a queue to programs that know only its list, such as Python's MicroAgent.

use std::time::Duration;

use microagent_core::{Error, ErrorKind, Queue, Result};
use tokio::time::sleep;

use super::{
    keys::QueueKeys,
    scripts::{self, RELEASE},
    sweep::{move_unreadable, until_sweep},
};
use crate::{
    connection::{Commands, Connector},
    error::error_of_change,
};

/// The most messages that one script returns: the server runs nothing else meanwhile.
const MOST: usize = 1000;

/// The error text if the answer to a release is missing.
const UNKNOWN: &str = "some of the messages may or may not have been returned to the list";

/// Returns everything that stands beside the list to it: messages of dead consumers, suspects, and retries that wait.
/// Returns how many messages there were.
///
/// # Errors
/// [`ErrorKind::Refused`] while a consumer lives.
pub(super) async fn release(connector: &Connector, queue: &Queue, lease: Duration) -> Result<u64> {
    let keys = QueueKeys::of(queue.name());
    let mut connection = connector.commands().await?;
    let mut released = 0;
    loop {
        recover_dead(&mut connection, &keys, lease).await?;
        move_unreadable(connector, &keys).await?;
        loop {
            let (count, dead) = release_some(&mut connection, &keys).await?;
            match u64::try_from(count) {
                Ok(0) if dead == 0 => return Ok(released),
                // A consumer's lease has ended since the search for dead ones.
                Ok(0) => break,
                Ok(count) => released += count,
                Err(_) => return Err(alive(queue)),
            }
        }
    }
}

/// Returns how many messages this returned to the list, or -1 if a consumer lives, and how many dead consumers are not
/// recovered yet.
async fn release_some(connection: &mut Commands, keys: &QueueKeys) -> Result<(i64, u64)> {
    let mut call = RELEASE.key(&keys.list);
    call.key(&keys.inbox).key(&keys.due).key(&keys.suspects);
    call.key(&keys.later).key(&keys.meta).key(&keys.ids);
    let done = call.key(&keys.leases).arg(MOST).invoke_async(connection);
    done.await.map_err(|error| error_of_change(error, UNKNOWN))
}

/// Makes suspects of the messages that dead consumers had in flight, and finds messages that are in no order of waiting.
///
/// A consumer counts as dead if its lease has ended and it does not renew it within a heartbeat: after an outage of the
/// server the leases of consumers that live have ended, too.
async fn recover_dead(connection: &mut Commands, keys: &QueueKeys, lease: Duration) -> Result<()> {
    let mut dead = scripts::expired(connection, keys).await?;
    dead.extend(all_orphans(connection, keys).await?);
    if !dead.is_empty() {
        sleep(until_sweep(lease)).await;
    }
    for (consumer, end) in dead {
        scripts::recover(connection, keys, &consumer, &end).await?;
    }
    let mut cursor = "0".to_owned();
    loop {
        let (next, _) = scripts::restore(connection, keys, &cursor).await?;
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// Returns the consumers that have messages in flight and no lease, each with an empty text for the end of its lease.
async fn all_orphans(connection: &mut Commands, keys: &QueueKeys) -> Result<Vec<(String, String)>> {
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    loop {
        let (next, orphans) = scripts::orphans(connection, keys, &cursor).await?;
        found.extend(orphans.into_iter().map(|orphan| (orphan, String::new())));
        if next == "0" {
            return Ok(found);
        }
        cursor = next;
    }
}

fn alive(queue: &Queue) -> Error {
    let text = format!(
        "cannot release `{queue}`: an agent consumes it; stop all of its consumers first (the lease of one that was killed ends \
         after 10 s)"
    );
    Error::new(ErrorKind::Refused, text)
}

#[cfg(test)]
mod tests;
