//! The stream of the events of a subscription.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};
use microagent_core::{BusEvent, Mailbox, MailboxStream, Result};

use crate::{
    connection::{Command, Session},
    protocol::{LocalId, Text},
};

/// The stream of a subscription's events. Dropping it unsubscribes.
#[derive(Debug)]
pub(crate) struct Subscription {
    session: Arc<Session>,
    sub: LocalId,
    events: MailboxStream,
}

impl Subscription {
    /// Subscribes. The subscription is live when this returns.
    pub(crate) async fn open(session: Arc<Session>, pattern: Text) -> Result<Self> {
        let (mailbox, events) = Mailbox::new();
        let sub = session.new_id();
        session.tell(Command::Subscribe {
            sub,
            session: session.id(),
            pattern,
            mailbox,
        })?;
        let mut subscription = Self {
            session,
            sub,
            events,
        };
        match subscription.events.live().await {
            Some(live) => live?,
            None => return Err(subscription.session.unanswered()),
        }
        Ok(subscription)
    }
}

impl Stream for Subscription {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        if self.session.is_closed() {
            return Poll::Ready(None);
        }
        self.events.poll_next_unpin(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.session.tell_always(Command::Unsubscribe(self.sub));
    }
}
