//! Leases: a consumer says that it lives, and looks for others who do not say so any more.

use std::{sync::Arc, time::Duration};

use microagent_core::{ErrorKind, Result};
use tokio::time::sleep;
use tracing::debug;

use super::{consumer::Consumer, scripts};

/// How long a consumer counts as alive after it has last said so.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// How often a consumer says that it lives.
fn heartbeat(lease: Duration) -> Duration {
    lease / 4
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
    if stops {
        // It takes nothing any more, so what it does not know of was in a reply that was lost.
        let known = identity.held();
        let done = scripts::reconcile(&mut connection, &identity, &known, true).await?;
        if done.left {
            return Ok(true);
        }
    }
    if identity.has_joined() {
        // A lease that is gone is the loop's to renew, under another name.
        scripts::join(&mut connection, &identity, consumer.lease, false).await?;
    }
    Ok(false)
}
