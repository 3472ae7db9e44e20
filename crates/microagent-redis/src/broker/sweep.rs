//! Sweeps: each consumer looks for others of its queue that died, and sets aside records that are unreadable.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use microagent_core::{DeadReason, Error, ErrorKind, Message, Result, driver::Outage, header};
use redis::AsyncCommands;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::{
    consumer::Consumer,
    keys::QueueKeys,
    scripts::{self, DeadLetter},
};
use crate::{
    connection::{Commands, Connector},
    error::error_of,
};

/// Returns the time until the next sweep: between 3 and 4 s for a lease of 10 s.
pub(super) fn until_sweep(lease: Duration) -> Duration {
    lease.mul_f64(0.3 + fastrand::f64() / 10.0)
}

/// Recovers what dead consumers of the queue had in flight, until the consumer stops.
pub(super) async fn sweep(consumer: Arc<Consumer>) {
    let mut sweeper = Sweeper::default();
    loop {
        tokio::select! {
            () = consumer.stopping.cancelled() => return,
            () = sleep(until_sweep(consumer.lease)) => {}
        }
        if let Err(error) = sweeper.sweep(&consumer).await {
            // A sweep after an outage begins anew: those who live need a moment to say so.
            sweeper.expired.clear();
            debug!(queue = &*consumer.queue, %error, "sweep failed; will retry");
        }
    }
}

struct Sweeper {
    /// The consumers that the last sweep found expired, with the ends of their leases.
    expired: HashMap<String, String>,
    /// The consumers that the last sweep found without a lease.
    orphans: BTreeSet<String>,
    /// The cursor of the search for orphans.
    next_keys: String,
    /// The cursor of the search for messages that are in no order of waiting.
    next_messages: String,
    refusals: Outage,
}

impl Default for Sweeper {
    fn default() -> Self {
        let start = || "0".to_owned();
        Self {
            expired: HashMap::new(),
            orphans: BTreeSet::new(),
            next_keys: start(),
            next_messages: start(),
            refusals: Outage::default(),
        }
    }
}

impl Sweeper {
    /// Runs all parts of a sweep. A part that the server refuses does not stop the others.
    async fn sweep(&mut self, consumer: &Consumer) -> Result<()> {
        let mut connection = consumer.connector.commands().await?;
        let mut refused = None;
        let parts = [
            self.recover_expired(consumer, &mut connection).await,
            self.recover_orphans(consumer, &mut connection).await,
            self.restore(consumer, &mut connection).await,
            move_unreadable(&consumer.connector, &consumer.keys).await,
        ];
        for part in parts {
            match part {
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => refused = Some(error),
                Ok(()) => {}
            }
        }
        self.report(consumer, refused);
        Ok(())
    }

    fn report(&mut self, consumer: &Consumer, refused: Option<Error>) {
        match refused {
            Some(error) if self.refusals.is_news(&error) => {
                warn!(queue = &*consumer.queue, %error, "cannot look for dead consumers of the queue; will keep retrying");
            }
            Some(_) => {}
            None => drop(self.refusals.end()),
        }
    }

    /// Recovers consumers that have been expired for at least one sweep: after an outage of the server all leases have
    /// ended.
    async fn recover_expired(
        &mut self,
        consumer: &Consumer,
        connection: &mut Commands,
    ) -> Result<()> {
        let expired: HashMap<_, _> = scripts::expired(connection, &consumer.keys)
            .await?
            .into_iter()
            .collect();
        let before = std::mem::replace(&mut self.expired, expired);
        let mut recovered = Ok(());
        for (dead, end) in &self.expired {
            if before.get(dead) == Some(end) {
                recovered = recovered.and(recover(consumer, connection, dead, end).await);
            }
        }
        recovered
    }

    /// Recovers consumers that have had something in flight and no lease for at least one sweep: somebody removed the leases,
    /// or an earlier version left something behind. Each sweep looks through a part of the keys.
    async fn recover_orphans(
        &mut self,
        consumer: &Consumer,
        connection: &mut Commands,
    ) -> Result<()> {
        let mut recovered = Ok(());
        for dead in std::mem::take(&mut self.orphans) {
            recovered = recovered.and(recover(consumer, connection, &dead, "").await);
        }
        let from = &self.next_keys;
        let (next, orphans) = scripts::orphans(connection, &consumer.keys, from).await?;
        self.next_keys = next;
        self.orphans = orphans.into_iter().collect();
        recovered
    }

    /// Lets messages wait again that are set aside and in no order of waiting.
    async fn restore(&mut self, consumer: &Consumer, connection: &mut Commands) -> Result<()> {
        let from = &self.next_messages;
        let (next, messages) = scripts::restore(connection, &consumer.keys, from).await?;
        self.next_messages = next;
        if messages > 0 {
            warn!(
                queue = &*consumer.queue,
                messages, "waiting messages were in no order of waiting; delivering them now"
            );
        }
        Ok(())
    }
}

async fn recover(
    consumer: &Consumer,
    connection: &mut Commands,
    dead: &str,
    end: &str,
) -> Result<()> {
    let recovered = scripts::recover(connection, &consumer.keys, dead, end).await;
    let suspects =
        recovered.map_err(|error| error.context(format!("cannot recover consumer `{dead}`")))?;
    match suspects {
        Some(0) => {
            debug!(
                queue = &*consumer.queue,
                consumer = dead,
                "a consumer died with nothing in flight"
            );
        }
        Some(suspects) => warn!(
            queue = &*consumer.queue,
            consumer = dead,
            suspects,
            "a consumer died; its messages in flight will be delivered again, one at a time"
        ),
        None => {}
    }
    Ok(())
}

/// Makes dead letters of the messages whose records are unreadable, so that they are neither lost nor in the way.
pub(super) async fn move_unreadable(connector: &Connector, keys: &QueueKeys) -> Result<()> {
    let mut connection = connector.commands().await?;
    let ids: Vec<Vec<u8>> = connection.hkeys(&keys.bad).await.map_err(error_of)?;
    for id in ids {
        let record: Option<Vec<u8>> = connection.hget(&keys.meta, &id).await.map_err(error_of)?;
        move_one(connector, &mut connection, keys, &id, record).await?;
    }
    Ok(())
}

async fn move_one(
    connector: &Connector,
    connection: &mut Commands,
    keys: &QueueKeys,
    id: &[u8],
    record: Option<Vec<u8>>,
) -> Result<()> {
    let name = String::from_utf8_lossy(id).into_owned();
    let record = String::from_utf8_lossy(&record.unwrap_or_default()).into_owned();
    let detail = format!("unreadable record of message `{name}`: `{record}`");
    let message = Message::new(keys.list.as_str(), "");
    let headers = header::of_dead_letter(
        &message,
        DeadReason::Undecodable,
        &detail,
        SystemTime::now(),
    );
    let dead = QueueKeys::of(&format!("{}.dead", keys.list));
    let dead_letter = DeadLetter {
        queue: keys,
        hash: &keys.bad,
        consumer: "",
        id,
        dead: &dead,
        // A list of pairs of texts can always be written.
        why: &serde_json::to_string(&headers).unwrap_or_default(),
    };
    let apart = connector.options().is_cluster();
    if dead_letter.move_to_queue(connection, apart).await?.count > 0 {
        error!(
            queue = keys.list,
            id = name,
            record,
            dead_letter = dead.list,
            "unreadable record: message moved to the dead letters"
        );
    }
    Ok(())
}
