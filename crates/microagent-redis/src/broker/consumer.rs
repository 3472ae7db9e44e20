//! One `consume`: who the consumer is, the loop that keeps it at work, and the stream that yields its messages.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use microagent_core::{
    Delivery, Error, ErrorKind,
    driver::{Outage, SuspectGate, lock},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    keys::{Identity, QueueKeys},
    session,
    settle::Order,
};
use crate::connection::Connector;

/// How long a consumer that stops waits for the server's answer to what it has asked before. What comes later does no harm:
/// a consumer that has left takes nothing.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// A consumer of one queue.
pub(super) struct Consumer {
    pub(super) queue: Arc<str>,
    pub(super) keys: Arc<QueueKeys>,
    pub(super) connector: Connector,
    pub(super) gate: Arc<SuspectGate>,
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
    pub(super) gate: Arc<SuspectGate>,
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
        Arc::clone(&lock(&self.identity))
    }

    /// Makes it another one for the server, which has nothing of the old one any more.
    pub(super) fn renew(&self) -> Arc<Identity> {
        let identity = Arc::new(Identity::new(&self.keys));
        let mut current = lock(&self.identity);
        *current = Arc::clone(&identity);
        identity
    }

    /// Takes messages until the consumer stops, over as many connections as it needs.
    pub(super) async fn run(self: Arc<Self>, deliveries: mpsc::UnboundedSender<Delivery>) {
        let _ended = self.ended.clone().drop_guard();
        let mut outage = Outage::default();
        while !self.stopping.is_cancelled() {
            let taken = tokio::select! {
                biased;
                taken = session::take_over_one_connection(&self, &deliveries, &mut outage) => taken,
                () = self.gives_up() => return,
            };
            let Err(error) = taken else { return };
            if error.kind() == ErrorKind::Unavailable {
                self.connector.doubt();
            }
            if outage.is_news(&error) {
                warn!(queue = &*self.queue, %error, "cannot take messages from the queue; will keep retrying");
            }
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = tokio::time::sleep(outage.pause()) => {}
            }
        }
    }

    async fn gives_up(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(LAST_ANSWER).await;
    }
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
