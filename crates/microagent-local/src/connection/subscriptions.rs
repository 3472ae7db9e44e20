//! The subscriptions of a connection, to which the task passes events and gaps.

use std::time::Duration;

use bytes::Bytes;
use foldhash::HashMap;
use microagent_core::Mailbox;

use super::command::SessionId;
use crate::protocol::{LocalId, Text};

#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<LocalId, Subscription>);

#[derive(Debug)]
struct Subscription {
    session: SessionId,
    pattern: Text,
    mailbox: Mailbox,
}

impl Subscriptions {
    pub(super) fn insert(
        &mut self,
        sub: LocalId,
        session: SessionId,
        pattern: Text,
        mailbox: Mailbox,
    ) {
        let subscription = Subscription {
            session,
            pattern,
            mailbox,
        };
        self.0.insert(sub, subscription);
    }

    /// Removes a subscription. Returns false if there was none.
    pub(super) fn remove(&mut self, sub: LocalId) -> bool {
        self.0.remove(&sub).is_some()
    }

    /// Removes the subscriptions of a handle, and returns their numbers.
    pub(super) fn close(&mut self, session: SessionId) -> Vec<LocalId> {
        let of_session = |subscription: &Subscription| subscription.session == session;
        let ended = self
            .0
            .extract_if(|_, subscription| of_session(subscription));
        ended.map(|(sub, _)| sub).collect()
    }

    /// Returns the patterns to subscribe on a new connection.
    pub(super) fn patterns(&self) -> Vec<(LocalId, Text)> {
        let patterns = self.0.iter();
        patterns
            .map(|(sub, subscription)| (*sub, subscription.pattern.clone()))
            .collect()
    }

    /// Marks a subscription as live, for the first time or again.
    pub(super) fn live(&mut self, sub: LocalId) {
        if let Some(subscription) = self.0.get_mut(&sub) {
            subscription.mailbox.go_live();
        }
    }

    /// Marks all subscriptions as interrupted, because the connection is lost.
    pub(super) fn lost(&mut self, reason: &str) {
        for subscription in self.0.values_mut() {
            subscription.mailbox.lose(reason);
        }
    }

    pub(super) fn receive(&mut self, sub: LocalId, channel: &Text, payload: Bytes) {
        if let Some(subscription) = self.0.get_mut(&sub) {
            subscription.mailbox.hear(channel, payload);
        }
    }

    /// Reports signals that the hub could not send.
    pub(super) fn missed(&mut self, sub: LocalId, count: u64, lasted: Duration) {
        if let Some(subscription) = self.0.get_mut(&sub) {
            subscription.mailbox.miss(count, lasted);
        }
    }

    /// Reports gaps to the streams that are read again.
    pub(super) fn catch_up(&mut self) {
        for subscription in self.0.values_mut() {
            subscription.mailbox.catch_up();
        }
    }
}
