//! Leases: a consumer says that it lives, and looks for others who do not say so any more.

use std::{collections::HashMap, sync::Arc, time::Duration};

use microagent_core::{ErrorKind, Result};
use redis::aio::ConnectionLike;
use tokio::time::sleep;
use tracing::{debug, warn};

use super::{consumer::Consumer, scripts};

/// How long a consumer counts as alive after it has last said so.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often a consumer says that it lives.
fn heartbeat(lease: Duration) -> Duration {
    lease / 4
}

/// How long until a consumer looks for dead ones again: within 3 and 4 s for a lease of 10 s.
fn until_sweep(lease: Duration) -> Duration {
    lease.mul_f64(0.3 + fastrand::f64() / 10.0)
}

/// Keeps a consumer's lease until it has stopped and has nothing in flight any more, and ends it then.
pub(super) async fn keep(consumer: Arc<Consumer>) {
    let heartbeat = heartbeat(consumer.lease);
    loop {
        let stops = consumer.ended.is_cancelled();
        match beat(&consumer, stops).await {
            Ok(true) => return,
            Ok(false) => {}
            // What it still has in flight waits for the end of the lease.
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => debug!(queue = &*consumer.queue, %error, "no heartbeat"),
        }
        tokio::select! {
            () = sleep(if stops { heartbeat / 10 } else { heartbeat }) => {}
            () = consumer.ended.cancelled(), if !stops => {}
        }
    }
}

/// Says that the consumer lives, or that it leaves. True when it has left.
async fn beat(consumer: &Consumer, stops: bool) -> Result<bool> {
    let (identity, mut connection) = (consumer.identity(), consumer.connector.commands().await?);
    if stops && scripts::leave(&mut connection, &identity, true).await? {
        return Ok(true);
    }
    // A lease that is gone is the loop's to renew, under another name.
    scripts::lease(&mut connection, &identity, consumer.lease, false).await?;
    Ok(false)
}

/// Recovers what dead consumers of the queue had in flight, until the consumer stops.
pub(super) async fn sweep(consumer: Arc<Consumer>) {
    let mut suspected = HashMap::new();
    loop {
        tokio::select! {
            () = consumer.stopping.cancelled() => return,
            () = sleep(until_sweep(consumer.lease)) => {}
        }
        suspected = match sweep_once(&consumer, &suspected).await {
            Ok(expired) => expired,
            Err(error) => {
                debug!(queue = &*consumer.queue, %error, "no sweep");
                HashMap::new()
            }
        };
    }
}

/// Recovers consumers that have been expired for at least one sweep: after an outage of the server all leases have ended, and
/// those who live need a moment to say so. Gives those that are expired now.
async fn sweep_once(
    consumer: &Consumer,
    suspected: &HashMap<String, String>,
) -> Result<HashMap<String, String>> {
    let mut connection = consumer.connector.commands().await?;
    let expired: HashMap<_, _> = scripts::expired(&mut connection, &consumer.keys)
        .await?
        .into_iter()
        .collect();
    for (dead, end) in &expired {
        if suspected.get(dead) == Some(end) {
            recover(consumer, &mut connection, dead, end).await?;
        }
    }
    Ok(expired)
}

async fn recover(
    consumer: &Consumer,
    connection: &mut impl ConnectionLike,
    dead: &str,
    end: &str,
) -> Result<()> {
    if let Some(suspects) = scripts::recover(connection, &consumer.keys, dead, end).await? {
        warn!(
            queue = &*consumer.queue,
            consumer = dead,
            suspects,
            "a consumer died: what it had in flight runs again, one by one"
        );
    }
    Ok(())
}
