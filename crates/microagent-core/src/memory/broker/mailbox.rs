//! The mailbox from which a consumer of a `memory://` server reads its deliveries.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::{Stream, future::BoxFuture};
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
    /// Waits for delayed messages while no delivery is there.
    waits: Option<BoxFuture<'static, ()>>,
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
            waits: None,
        }
    }
}

/// Ends when the broker was closed.
impl Stream for Mailbox {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if let Poll::Ready(delivery) = self.deliveries.poll_recv(cx) {
                return Poll::Ready(delivery);
            }
            let queues = Arc::clone(&self.queues);
            let waits = self
                .waits
                .get_or_insert_with(|| Box::pin(wait_for_delayed(queues)));
            ready!(waits.as_mut().poll(cx));
            self.waits = None;
        }
    }
}

/// Hands out the delayed messages that are due, and waits until others are, or until another message is due first.
async fn wait_for_delayed(queues: Arc<Queues>) {
    // Registered before the ledger is read, so that no delay is missed.
    let rescheduled = queues.rescheduled.notified();
    let due = queues.wake();
    tokio::select! {
        biased;
        () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        () = rescheduled => {}
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
