//! The reading end of a subscription.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::Stream;
use microagent_core::{BusEvent, Result};
use tokio::sync::{mpsc, oneshot};

use super::{
    command::Command,
    session::Session,
    subscriptions::{Mailbox, weight},
};
use crate::protocol::{LocalId, Text};

/// What is heard; the subscription ends with it.
#[derive(Debug)]
pub(super) struct Subscription {
    session: Arc<Session>,
    sub: LocalId,
    events: mpsc::UnboundedReceiver<BusEvent>,
    waiting: Arc<AtomicUsize>,
}

impl Subscription {
    /// Live when it returns.
    pub(super) async fn open(session: Arc<Session>, pattern: Text) -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let (live, lives) = oneshot::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let sub = session.connection.new_id();
        let mailbox = Mailbox {
            session: session.id,
            events: sender,
            waiting: waiting.clone(),
            live: Some(live),
        };
        session.tell(Command::Subscribe {
            sub,
            pattern,
            mailbox,
        })?;
        let subscription = Self {
            session,
            sub,
            events,
            waiting,
        };
        subscription.session.wait(lives).await?;
        Ok(subscription)
    }
}

impl Stream for Subscription {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        if self.session.is_closed() {
            return Poll::Ready(None);
        }
        let event = self.events.poll_recv(cx);
        if let Poll::Ready(Some(event)) = &event {
            self.waiting.fetch_sub(weight(event), Ordering::Relaxed);
        }
        event
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.session.connection.tell(Command::Unsubscribe(self.sub));
    }
}
