//! One `consume`: the loop that takes messages out of a queue, and the stream that yields them.
//!
//! The loop has a connection of its own, because it blocks there, and it is never cancelled while it does: a blocking move
//! that is given up on would still move the next message.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use microagent_core::{Delivery, Error, ErrorKind, Result};
use redis::aio::ConnectionLike;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    gate::Gate,
    keys::{Identity, QueueKeys},
    reply::{Found, Suspect},
    scripts,
    settle::{Order, Settler},
    taken::TakenMessage,
};
use crate::{backoff::Backoff, connection::Connector, error::error_of};

/// The most messages that one look takes.
const LOOK: usize = 128;

/// How long one blocking move waits: the longest that a retry can be late, or a stop has to wait.
const BLOCK: Duration = Duration::from_secs(1);

/// How often the server is asked to end a wait that a stop cuts short.
const UNBLOCK: Duration = Duration::from_millis(20);

/// How much later than asked for the server may answer before its connection counts as lost.
const SILENCE: Duration = Duration::from_secs(4);

/// A consumer of one queue.
pub(super) struct Consumer {
    pub(super) queue: Arc<str>,
    pub(super) keys: Arc<QueueKeys>,
    pub(super) connector: Connector,
    pub(super) gate: Arc<Gate>,
    /// How long it counts as alive after it has last said so.
    pub(super) lease: Duration,
    /// One per message that may still be taken.
    pub(super) credits: Semaphore,
    pub(super) settlements: mpsc::UnboundedSender<Order>,
    /// The stream is gone, or the broker closes: nothing more is taken.
    pub(super) stopping: CancellationToken,
    /// The loop has ended: nothing is under way to this consumer.
    pub(super) ended: CancellationToken,
    identity: Mutex<Arc<Identity>>,
}

/// What a consumer is made of.
pub(super) struct Setup {
    pub(super) queue: Arc<str>,
    pub(super) connector: Connector,
    pub(super) gate: Arc<Gate>,
    pub(super) settlements: mpsc::UnboundedSender<Order>,
    pub(super) prefetch: usize,
    pub(super) lease: Duration,
    pub(super) stopping: CancellationToken,
}

impl Consumer {
    pub(super) fn new(setup: Setup) -> Arc<Self> {
        let keys = Arc::new(QueueKeys::of(&setup.queue));
        Arc::new(Self {
            identity: Mutex::new(Arc::new(Identity::new(&keys))),
            queue: setup.queue,
            keys,
            connector: setup.connector,
            gate: setup.gate,
            lease: setup.lease,
            credits: Semaphore::new(setup.prefetch.clamp(1, Semaphore::MAX_PERMITS)),
            settlements: setup.settlements,
            stopping: setup.stopping,
            ended: CancellationToken::new(),
        })
    }

    /// Who this consumer is on the server, now.
    pub(super) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes messages until the consumer stops, over as many connections as it needs.
    pub(super) async fn run(self: Arc<Self>, deliveries: mpsc::UnboundedSender<Delivery>) {
        let _ended = self.ended.clone().drop_guard();
        let mut backoff = Backoff::default();
        while !self.stopping.is_cancelled() {
            let Err(error) = self
                .take_over_one_connection(&deliveries, &mut backoff)
                .await
            else {
                return;
            };
            let wait = backoff.next();
            warn!(queue = &*self.queue, %error, ?wait, "nothing is taken from the queue; trying again");
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn take_over_one_connection(
        self: &Arc<Self>,
        deliveries: &mpsc::UnboundedSender<Delivery>,
        backoff: &mut Backoff,
    ) -> Result<()> {
        let mut connection = self.connector.dedicated().await?;
        self.join(&mut connection).await?;
        let blocked = scripts::client_id(&mut connection).await;
        backoff.reset();
        while let Some(limit) = self.credit().await {
            let wait = match self.take(&mut connection, limit, deliveries).await? {
                Look::Empty { next_due } => next_due
                    .unwrap_or(BLOCK)
                    .clamp(Duration::from_millis(1), BLOCK),
                Look::Found => continue,
            };
            self.wait_for_one(&mut connection, wait, blocked).await?;
        }
        Ok(())
    }

    /// Makes sure that the consumer has a lease; where it was lost, under a new identity.
    async fn join(&self, connection: &mut impl ConnectionLike) -> Result<()> {
        if scripts::lease(connection, &self.identity(), self.lease, false).await? {
            return Ok(());
        }
        let identity = Arc::new(Identity::new(&self.keys));
        scripts::lease(connection, &identity, self.lease, true).await?;
        debug!(
            queue = &*self.queue,
            consumer = identity.consumer,
            "consumer has a lease"
        );
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
        Ok(())
    }

    /// Waits until at least one message may be taken, and says how many; none when the consumer stops.
    async fn credit(&self) -> Option<usize> {
        let permit = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            permit = self.credits.acquire() => permit.ok()?,
        };
        drop(permit);
        Some(self.credits.available_permits().clamp(1, LOOK))
    }

    async fn take(
        self: &Arc<Self>,
        connection: &mut impl ConnectionLike,
        limit: usize,
        deliveries: &mpsc::UnboundedSender<Delivery>,
    ) -> Result<Look> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Ok(Look::Found),
            () = self.gate.look() => {}
        }
        let identity = self.identity();
        let found = scripts::take(connection, &identity, limit).await;
        let (messages, next_due, suspects) = match found {
            Ok(Found::Messages {
                messages,
                next_due,
                suspects,
            }) => (messages, next_due, suspects),
            Ok(Found::LeaseLost) => {
                self.gate.found(0);
                warn!(
                    queue = &*self.queue,
                    "the lease was lost: what was in flight is delivered again"
                );
                self.join(connection).await?;
                return Ok(Look::Found);
            }
            Err(error) => {
                self.gate.found(0);
                return Err(error);
            }
        };
        self.gate.found(messages.len());
        let found_some = !messages.is_empty();
        for message in messages {
            self.deliver(message, &identity, deliveries);
        }
        if suspects > 0 && self.take_suspect(connection, deliveries).await? {
            return Ok(Look::Found);
        }
        Ok(if found_some {
            Look::Found
        } else {
            Look::Empty { next_due }
        })
    }

    /// Waits for the process to have nothing in flight, and takes a suspect then. False when another consumer of the
    /// process does that, or none was left.
    async fn take_suspect(
        self: &Arc<Self>,
        connection: &mut impl ConnectionLike,
        deliveries: &mpsc::UnboundedSender<Delivery>,
    ) -> Result<bool> {
        let cleared = tokio::select! {
            cleared = self.gate.clear() => cleared,
            () = self.stopping.cancelled() => {
                self.gate.decided(false);
                return Ok(false);
            }
        };
        if !cleared {
            return Ok(false);
        }
        let identity = self.identity();
        let suspect = scripts::take_suspect(connection, &identity).await;
        self.gate
            .decided(matches!(suspect, Ok(Suspect::Message(_))));
        match suspect? {
            Suspect::Message(message) => {
                self.deliver(message, &identity, deliveries);
                Ok(true)
            }
            Suspect::None | Suspect::LeaseLost => Ok(false),
        }
    }

    fn deliver(
        self: &Arc<Self>,
        taken: TakenMessage,
        identity: &Arc<Identity>,
        deliveries: &mpsc::UnboundedSender<Delivery>,
    ) {
        // The permit comes back when the message is settled.
        if let Ok(permit) = self.credits.try_acquire() {
            permit.forget();
        }
        // Whatever was taken has got one.
        let id = taken.id.unwrap_or_default();
        let settler = Settler {
            consumer: Arc::clone(self),
            identity: Arc::clone(identity),
            id,
        };
        let delivery = Delivery::new(taken.into_message(&self.queue), Box::new(settler));
        // A stream that is being dropped: the delivery goes back when it is dropped here.
        let _ = deliveries.send(delivery);
    }

    /// Waits until a message is in the queue, and puts it aside for this consumer. It is never given up on, but when the
    /// consumer stops the server is asked to let go of `blocked`, the connection, where it is known.
    async fn wait_for_one(
        &self,
        connection: &mut impl ConnectionLike,
        at_most: Duration,
        blocked: Option<u64>,
    ) -> Result<()> {
        let mut wait = redis::cmd("BLMOVE");
        wait.arg(&self.keys.list)
            .arg(&self.identity().inbox)
            .arg("LEFT")
            .arg("RIGHT")
            .arg(at_most.as_secs_f64());
        let waited = timeout(
            at_most + SILENCE,
            wait.query_async::<Option<Vec<u8>>>(connection),
        );
        tokio::pin!(waited);
        let waited = tokio::select! {
            biased;
            waited = &mut waited => waited,
            () = self.stopping.cancelled() => tokio::select! {
                waited = waited => waited,
                never = self.unblock(blocked) => match never {},
            },
        };
        match waited {
            Ok(moved) => moved.map(drop).map_err(error_of),
            Err(_) => {
                self.connector.doubt();
                Err(Error::new(ErrorKind::Unavailable, "redis does not answer"))
            }
        }
    }

    /// Asks again and again, for the first time may have come before the wait had begun.
    async fn unblock(&self, blocked: Option<u64>) -> Infallible {
        loop {
            if let (Some(blocked), Ok(mut connection)) = (blocked, self.connector.commands().await)
            {
                scripts::unblock(&mut connection, blocked).await;
            }
            tokio::time::sleep(UNBLOCK).await;
        }
    }
}

enum Look {
    Found,
    Empty { next_due: Option<Duration> },
}

/// The deliveries of one consumer, which stops when this is dropped.
pub(super) struct Deliveries {
    received: mpsc::UnboundedReceiver<Delivery>,
    stopping: CancellationToken,
}

impl Deliveries {
    pub(super) fn new(received: mpsc::UnboundedReceiver<Delivery>, consumer: &Consumer) -> Self {
        Self {
            received,
            stopping: consumer.stopping.clone(),
        }
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.received.poll_recv(cx)
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// The broker was closed.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the broker was closed")
}
