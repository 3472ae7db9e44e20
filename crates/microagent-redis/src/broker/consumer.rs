//! A consumer of one queue: its identity on the server, and the loop that takes messages.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent_core::{
    ErrorKind,
    driver::{DeliverySender, Outage, Prefetch, SuspectGate, lock},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    keys::{Identity, QueueKeys},
    session,
    settle::Order,
};
use crate::connection::Connector;

/// The time that a consumer that stops waits for the server's answer to its last request. A later answer does no harm: a
/// consumer that has left takes nothing.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// A consumer of one queue.
pub(super) struct Consumer {
    pub(super) queue: Arc<str>,
    pub(super) keys: Arc<QueueKeys>,
    pub(super) connector: Connector,
    pub(super) gate: Arc<SuspectGate>,
    /// The time that the consumer counts as alive after a heartbeat.
    pub(super) lease: Duration,
    pub(super) prefetch: Prefetch,
    pub(super) settlements: mpsc::UnboundedSender<Order>,
    /// Cancelled when the stream is dropped or the broker closes: nothing more is taken.
    pub(super) stopping: CancellationToken,
    /// Cancelled when the loop has ended: no request for messages is under way.
    pub(super) ended: CancellationToken,
    identity: Mutex<Arc<Identity>>,
}

/// The parts of a consumer.
pub(super) struct Setup {
    pub(super) queue: Arc<str>,
    pub(super) connector: Connector,
    pub(super) gate: Arc<SuspectGate>,
    pub(super) settlements: mpsc::UnboundedSender<Order>,
    pub(super) prefetch: Prefetch,
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
            prefetch: setup.prefetch,
            settlements: setup.settlements,
            stopping: setup.stopping,
            ended: CancellationToken::new(),
        })
    }

    /// Returns the present identity of this consumer on the server.
    pub(super) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&lock(&self.identity))
    }

    /// Gives the consumer a new identity. The server no longer has anything of the old one.
    pub(super) fn renew(&self) -> Arc<Identity> {
        let identity = Arc::new(Identity::new(&self.keys));
        let mut current = lock(&self.identity);
        *current = Arc::clone(&identity);
        identity
    }

    /// Takes messages until the consumer stops, over as many connections as it needs.
    pub(super) async fn run(self: Arc<Self>, deliveries: DeliverySender) {
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
                self.connector.report_failure();
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
