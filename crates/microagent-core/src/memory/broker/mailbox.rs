//! The mailbox from which a consumer of a `memory://` server reads its deliveries.

use std::sync::Arc;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::Queues;
use crate::{Delivery, ledger::ConsumerId};

/// The reading end of a consumer. Dropping it ends the consumer.
pub(super) struct Mailbox {
    queues: Arc<Queues>,
    consumer: ConsumerId,
    deliveries: mpsc::UnboundedReceiver<Delivery>,
}

impl Mailbox {
    pub(super) fn new(
        queues: Arc<Queues>,
        consumer: ConsumerId,
        deliveries: mpsc::UnboundedReceiver<Delivery>,
    ) -> Self {
        Self {
            queues,
            consumer,
            deliveries,
        }
    }

    /// Waits for the next delivery. Returns `None` when the broker was closed.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Ok(delivery) = self.deliveries.try_recv() {
                return Some(delivery);
            }
            // Registered before the ledger is read, so that no delay is missed.
            let rescheduled = self.queues.rescheduled.notified();
            let due = self.queues.wake();
            tokio::select! {
                biased;
                delivery = self.deliveries.recv() => return delivery,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = rescheduled => {}
            }
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = self.queues.state();
        state.ledger.leave(self.consumer);
        let slot = state.mailboxes.remove(&self.consumer);
        self.queues.hand_out(state);
        drop(slot);
        // Unread deliveries go back to the queue when the channel is dropped.
    }
}
