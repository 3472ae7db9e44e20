//! The stream of a consumer's deliveries, and their settlement.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use futures_util::Stream;
use microagent_core::{
    Delivery, Message, Result, Settle, SettleFuture, Settlement, header, ledger::MessageId,
};
use tokio::sync::{mpsc, oneshot};

use super::message::message_of;
use crate::{
    connection::{Command, Consumer, Epoch, IncomingDelivery, Session},
    error::ended,
    protocol::{LocalId, Text, WireSettlement},
    store::Headers,
};

/// The maximum size of the error text in a dead letter, in bytes.
const MAX_DETAIL: usize = 16 * 1024;

/// The stream of a consumer's deliveries. Dropping it cancels the consumer and returns the unread messages.
#[derive(Debug)]
pub(crate) struct Deliveries {
    session: Arc<Session>,
    queue: Arc<str>,
    consumer: LocalId,
    incoming: mpsc::UnboundedReceiver<IncomingDelivery>,
}

impl Deliveries {
    /// Starts to consume. The hub has accepted the consumer when this returns.
    pub(crate) async fn open(session: Arc<Session>, queue: Text, prefetch: u32) -> Result<Self> {
        let (deliveries, incoming) = mpsc::unbounded_channel();
        let (live, lives) = oneshot::channel();
        let registered = Consumer::new(session.id(), (queue.clone(), prefetch), deliveries, live);
        let consumer = session.new_id();
        session.tell(Command::Consume(consumer, registered))?;
        let deliveries = Self {
            session,
            queue: Arc::from(&*queue),
            consumer,
            incoming,
        };
        deliveries.session.wait(lives).await?;
        Ok(deliveries)
    }

    fn delivery(&self, incoming: IncomingDelivery) -> Delivery {
        let settle = Settler {
            session: self.session.clone(),
            epoch: incoming.epoch,
            consumer: self.consumer,
            message: incoming.message.id,
        };
        let message = message_of(incoming.message, self.queue.clone());
        Delivery::new(message, Box::new(settle))
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        loop {
            if self.session.is_closed() {
                return Poll::Ready(None);
            }
            match self.incoming.poll_recv(cx) {
                // The hub delivers messages of an earlier connection again over this one.
                Poll::Ready(Some(incoming)) if incoming.epoch != self.session.epoch() => {}
                Poll::Ready(Some(incoming)) => {
                    return Poll::Ready(Some(self.delivery(incoming)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.incoming.close();
        let mut unread = Vec::new();
        while let Ok(incoming) = self.incoming.try_recv() {
            unread.push((incoming.epoch, incoming.message.id));
        }
        let consumer = self.consumer;
        self.session
            .tell_always(Command::Cancel { consumer, unread });
    }
}

struct Settler {
    session: Arc<Session>,
    epoch: Epoch,
    consumer: LocalId,
    message: MessageId,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        let (done, settled) = oneshot::channel();
        let command = Command::Settle {
            epoch: self.epoch,
            consumer: self.consumer,
            message: self.message,
            settlement: on_the_wire(message, settlement),
            done,
        };
        // A closed handle has returned its messages; the hub answers with that.
        if self.session.tell_always(command) {
            return SettleFuture::waiting(settled);
        }
        SettleFuture::done(Err(ended()))
    }
}

fn on_the_wire(message: &Message, settlement: Settlement) -> WireSettlement {
    match settlement {
        Settlement::Ack => WireSettlement::Ack,
        Settlement::Return => WireSettlement::Return,
        Settlement::Retry { after, .. } => WireSettlement::Retry { after },
        Settlement::DeadLetter {
            queue,
            reason,
            detail,
        } => {
            let detail = &detail[..detail.floor_char_boundary(MAX_DETAIL)];
            #[expect(
                clippy::disallowed_methods,
                reason = "the header has the time at which the client gave the message up"
            )]
            let headers = header::of_dead_letter(message, reason, detail, SystemTime::now());
            WireSettlement::DeadLetter {
                queue: queue.into(),
                headers: new_ones(message, headers),
            }
        }
    }
}

/// Returns the headers that the message does not have yet. The hub keeps the others.
fn new_ones(message: &Message, headers: Headers) -> Headers {
    headers
        .into_iter()
        .filter(|(name, value)| message.headers().all(|own| own != (name, value)))
        .collect()
}
