//! The lease of a consumer: its heartbeat renews the lease until the consumer leaves.

use std::{sync::Arc, time::Duration};

use microagent_core::{ErrorKind, Result};
use tokio::time::sleep;
use tracing::debug;

use super::{consumer::Consumer, scripts};

/// The time that a consumer counts as alive after a heartbeat.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// Returns the time between two heartbeats.
fn heartbeat(lease: Duration) -> Duration {
    lease / 4
}

/// Keeps a consumer's lease until the consumer has stopped and its last message is settled, and then ends the lease.
pub(super) async fn keep(consumer: Arc<Consumer>) {
    let heartbeat = heartbeat(consumer.lease);
    loop {
        let stops = consumer.ended.is_cancelled();
        match beat(&consumer, stops).await {
            Ok(true) => return,
            Ok(false) => {}
            // The messages in flight wait for the end of the lease.
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) => debug!(queue = &*consumer.queue, %error, "heartbeat failed; will retry"),
        }
        tokio::select! {
            () = sleep(if stops { heartbeat / 10 } else { heartbeat }) => {}
            () = consumer.ended.cancelled(), if !stops => {}
        }
    }
}

/// Sends a heartbeat, or leaves if the consumer stops. Returns true if it has left.
async fn beat(consumer: &Consumer, stops: bool) -> Result<bool> {
    let (identity, mut connection) = (consumer.identity(), consumer.connector.commands().await?);
    if stops {
        // It no longer takes messages, so those that it does not know of were in a reply that was lost.
        let known = identity.known_ids();
        let done = scripts::reconcile(&mut connection, &identity, &known, true).await?;
        if done.left {
            return Ok(true);
        }
    }
    if identity.has_joined() {
        // If the lease is gone, the loop asks for a new one under another identity.
        scripts::join(&mut connection, &identity, consumer.lease, false).await?;
    }
    Ok(false)
}
