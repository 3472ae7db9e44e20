//! A consumer on one connection: it takes messages, and waits for more, until the connection fails or the consumer stops.
//!
//! The connection is not shared, because its commands block. If a reply is lost, its messages are not: the session compares
//! the consumer's messages on the server with those that the consumer knows, and returns the rest to the queue.

use std::{convert::Infallible, sync::Arc, time::Duration};

use microagent_core::{
    Delivery, Result,
    driver::{DeliverySender, Outage, PROVEN},
};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::{
    consumer::Consumer,
    keys::Identity,
    reply::{SuspectReply, TakeReply},
    scripts::{self, JoinReply},
    settle::Settler,
    stored::StoredMessage,
};
use crate::{
    connection::{Commands, RESPONSE_TIMEOUT},
    error::error_of,
};

/// The most messages that one request takes.
const TAKE_LIMIT: usize = 128;

/// The time that one blocking move waits. A retry is never later than this.
const BLOCK: Duration = Duration::from_secs(1);

/// The pause between requests to end a blocking move when the consumer stops.
const UNBLOCK: Duration = Duration::from_millis(20);

struct Session<'a> {
    consumer: &'a Arc<Consumer>,
    deliveries: &'a DeliverySender,
    connection: Commands,
    /// The server's number of the connection, where it is known.
    number: Option<u64>,
}

enum NextStep {
    TakeAgain,
    Wait { next_due: Option<Duration> },
}

/// Takes messages until the consumer stops.
///
/// # Errors
/// Of the connection, or of a step that the server refuses.
pub(super) async fn take_over_one_connection(
    consumer: &Arc<Consumer>,
    deliveries: &DeliverySender,
    outage: &mut Outage,
) -> Result<()> {
    let connection = consumer
        .connector
        .dedicated(BLOCK + RESPONSE_TIMEOUT)
        .await?;
    let mut session = Session {
        consumer,
        deliveries,
        connection,
        number: None,
    };
    let since = Instant::now();
    session.appear().await?;
    session.number = scripts::client_id(&mut session.connection).await?;
    while let Some(limit) = session.credit().await? {
        match session.take(limit).await? {
            // A full queue needs no waiting, so that step proves itself by time.
            NextStep::TakeAgain if since.elapsed() < PROVEN => continue,
            NextStep::TakeAgain => {}
            NextStep::Wait { next_due } => session.wait_for_one(next_due).await?,
        }
        if outage.end() {
            info!(queue = &*consumer.queue, "taking messages again");
        }
    }
    Ok(())
}

impl Session<'_> {
    /// Makes sure that the consumer has a lease, and nothing in flight that it does not know of.
    async fn appear(&mut self) -> Result<()> {
        self.join().await?;
        self.reconcile().await
    }

    /// Makes sure that the consumer has a lease; if it was lost, under a new identity.
    async fn join(&mut self) -> Result<()> {
        let identity = self.consumer.identity();
        let joined = self.join_as(&identity).await?;
        if joined == JoinReply::Yes {
            return Ok(());
        }
        log_loss(self.consumer, &identity, joined);
        let identity = self.consumer.renew();
        self.join_as(&identity).await.map(drop)
    }

    async fn join_as(&mut self, identity: &Identity) -> Result<JoinReply> {
        let is_new = !identity.has_joined();
        let lease = self.consumer.lease;
        let joined = scripts::join(&mut self.connection, identity, lease, is_new).await?;
        if is_new {
            debug!(
                queue = &*self.consumer.queue,
                consumer = identity.consumer,
                "consumer has a lease"
            );
            identity.set_joined();
        }
        Ok(joined)
    }

    /// Gives back what the consumer has in flight and does not know of. Only this task takes messages, and none are under way
    /// to it now, so whatever it does not know of was in a reply that was lost.
    async fn reconcile(&mut self) -> Result<()> {
        let identity = self.consumer.identity();
        let known = identity.known_ids();
        let done = scripts::reconcile(&mut self.connection, &identity, &known, false).await?;
        if done.given_back > 0 {
            info!(
                queue = &*self.consumer.queue,
                messages = done.given_back,
                "a reply was lost; its messages are back in the queue"
            );
        }
        Ok(())
    }

    /// Waits until at least one message may be taken, and returns how many; `None` if the consumer stops.
    async fn credit(&mut self) -> Result<Option<usize>> {
        let consumer = self.consumer;
        loop {
            tokio::select! {
                biased;
                available = consumer.prefetch.available() => {
                    return Ok(available.map(|available| available.min(TAKE_LIMIT)));
                }
                // An earlier call that was given up on may have been carried out late.
                () = sleep(consumer.lease / 2) => {}
            }
            self.appear().await?;
        }
    }

    async fn take(&mut self, limit: usize) -> Result<NextStep> {
        let consumer = self.consumer;
        let taking = tokio::select! {
            biased;
            () = consumer.stopping.cancelled() => return Ok(NextStep::TakeAgain),
            taking = consumer.gate.begin_take() => taking,
        };
        let identity = consumer.identity();
        let known = identity.known_ids().len();
        let found = scripts::take(&mut self.connection, &identity, limit).await?;
        let TakeReply::Messages {
            messages,
            next_due,
            suspects,
            in_flight,
            strays,
        } = found
        else {
            drop(taking);
            self.appear().await?;
            return Ok(NextStep::TakeAgain);
        };
        taking.found(messages.len());
        let taken = messages.len();
        for message in messages {
            self.deliver(message, &identity);
        }
        for id in strays {
            warn!(
                queue = &*consumer.queue,
                id, "removed an entry that belongs to no message"
            );
        }
        if usize::try_from(in_flight).unwrap_or(usize::MAX) > known + taken {
            self.reconcile().await?;
        }
        if taken > 0 || (suspects > 0 && self.take_suspect().await?) {
            return Ok(NextStep::TakeAgain);
        }
        Ok(NextStep::Wait { next_due })
    }

    /// Waits for the process to have nothing in flight, and takes a suspect then. False when another consumer of the
    /// process does that, or none was left.
    async fn take_suspect(&mut self) -> Result<bool> {
        let consumer = self.consumer;
        let cleared = tokio::select! {
            cleared = consumer.gate.clear() => cleared,
            () = consumer.stopping.cancelled() => None,
        };
        let Some(cleared) = cleared else {
            return Ok(false);
        };
        let identity = consumer.identity();
        match scripts::take_suspect(&mut self.connection, &identity).await? {
            SuspectReply::Message(message) => {
                cleared.found_suspect();
                self.deliver(message, &identity);
                Ok(true)
            }
            SuspectReply::None | SuspectReply::LeaseLost => Ok(false),
        }
    }

    fn deliver(&self, taken: StoredMessage, identity: &Arc<Identity>) {
        // A message that was taken always has an id.
        let id = taken.id.unwrap_or_default();
        let settler = Settler {
            slot: self.consumer.prefetch.slot(),
            consumer: Arc::clone(self.consumer),
            known: identity.register(id),
        };
        let message = taken.into_message(&self.consumer.queue);
        self.deliveries
            .send(Delivery::new(message, Box::new(settler)));
    }

    /// Waits until a message is in the queue, and puts it aside for whoever looks first. When the consumer stops, the
    /// server is asked to let go of the connection.
    async fn wait_for_one(&mut self, next_due: Option<Duration>) -> Result<()> {
        let consumer = self.consumer;
        let at_most = next_due
            .unwrap_or(BLOCK)
            .clamp(Duration::from_millis(1), BLOCK);
        let mut wait = redis::cmd("BLMOVE");
        wait.arg(&consumer.keys.list)
            .arg(&consumer.keys.inbox)
            .arg("LEFT")
            .arg("RIGHT")
            .arg(at_most.as_secs_f64());
        let waited = wait.query_async::<Option<Vec<u8>>>(&mut self.connection);
        tokio::pin!(waited);
        let waited = tokio::select! {
            biased;
            waited = &mut waited => waited,
            () = consumer.stopping.cancelled() => tokio::select! {
                waited = waited => waited,
                never = unblock(consumer, self.number) => match never {},
            },
        };
        waited.map(drop).map_err(error_of)
    }
}

/// Asks again and again, for the first time may have come before the wait had begun.
async fn unblock(consumer: &Consumer, number: Option<u64>) -> Infallible {
    loop {
        if let (Some(number), Ok(mut connection)) = (number, consumer.connector.commands().await) {
            scripts::unblock(&mut connection, number).await;
        }
        sleep(UNBLOCK).await;
    }
}

fn log_loss(consumer: &Consumer, identity: &Identity, joined: JoinReply) {
    let (queue, messages) = (&*consumer.queue, identity.known_ids().len());
    match joined {
        _ if messages == 0 => info!(queue, "lease lost; nothing was in flight"),
        JoinReply::AllLost => warn!(
            queue,
            messages,
            "lease lost, and all that the server knew of the queue: messages in flight are no longer stored and will not be \
             delivered again"
        ),
        JoinReply::Yes | JoinReply::LeaseLost => warn!(
            queue,
            messages,
            "lease lost: messages in flight may be delivered again, also to other consumers"
        ),
    }
}
