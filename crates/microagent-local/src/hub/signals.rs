//! Who listens to what, and who misses signals because it reads too slowly.

use microagent_core::pattern_matches;
use tokio::time::Instant;

use super::connections::{ConnectionId, Connections};
use crate::protocol::{HubFrame, LocalId, Text};

/// All subscriptions, grouped by their patterns: each is matched once for a signal, however many listen.
#[derive(Debug, Default)]
pub(super) struct Signals {
    topics: Vec<Topic>,
    /// How many subscriptions have signals missing that they were not told of.
    behind: usize,
}

#[derive(Debug)]
struct Topic {
    pattern: Box<str>,
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    connection: ConnectionId,
    sub: LocalId,
    missed: Option<Missed>,
}

#[derive(Clone, Copy, Debug)]
struct Missed {
    count: u64,
    since: Instant,
}

impl Signals {
    pub(super) fn subscribe(&mut self, connection: ConnectionId, sub: LocalId, pattern: &str) {
        let listener = Listener {
            connection,
            sub,
            missed: None,
        };
        match self
            .topics
            .iter_mut()
            .find(|topic| &*topic.pattern == pattern)
        {
            Some(topic) => topic.listeners.push(listener),
            None => self.topics.push(Topic {
                pattern: pattern.into(),
                listeners: vec![listener],
            }),
        }
    }

    pub(super) fn unsubscribe(&mut self, connection: ConnectionId, sub: LocalId) {
        self.retain(|listener| listener.connection != connection || listener.sub != sub);
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.retain(|listener| listener.connection != connection);
    }

    /// Sends to everyone who listens, and says how many subscriptions that are.
    pub(super) fn publish(
        &mut self,
        channel: &Text,
        payload: &bytes::Bytes,
        connections: &Connections,
    ) -> u64 {
        let mut receivers = 0;
        for topic in &mut self.topics {
            if !pattern_matches(&topic.pattern, channel) {
                continue;
            }
            for listener in &mut topic.listeners {
                let event = HubFrame::Event {
                    sub: listener.sub,
                    channel: channel.clone(),
                    payload: payload.clone(),
                };
                let was_behind = listener.missed.is_some();
                listener.hear(event, connections);
                self.behind += usize::from(listener.missed.is_some());
                self.behind -= usize::from(was_behind);
                receivers += 1;
            }
        }
        receivers
    }

    /// Whether somebody is still to be told of missed signals.
    pub(super) fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// Tells those who read again what they missed.
    pub(super) fn catch_up(&mut self, connections: &Connections) {
        let listeners = self
            .topics
            .iter_mut()
            .flat_map(|topic| &mut topic.listeners);
        for listener in listeners.filter(|listener| listener.missed.is_some()) {
            listener.catch_up(connections);
            self.behind -= usize::from(listener.missed.is_none());
        }
    }

    fn retain(&mut self, keep: impl Fn(&Listener) -> bool) {
        for topic in &mut self.topics {
            topic.listeners.retain(&keep);
        }
        self.topics.retain(|topic| !topic.listeners.is_empty());
        let listeners = self.topics.iter().flat_map(|topic| &topic.listeners);
        self.behind = listeners
            .filter(|listener| listener.missed.is_some())
            .count();
    }
}

impl Listener {
    fn hear(&mut self, event: HubFrame, connections: &Connections) {
        self.catch_up(connections);
        let Some(connection) = connections.get(self.connection) else {
            return;
        };
        if self.missed.is_none() && !connection.outgoing.is_full() {
            connection.outgoing.send(event);
            return;
        }
        let missed = self.missed.get_or_insert_with(|| Missed {
            count: 0,
            since: Instant::now(),
        });
        missed.count += 1;
    }

    fn catch_up(&mut self, connections: &Connections) {
        let Some(connection) = connections.get(self.connection) else {
            return;
        };
        if connection.outgoing.is_full() {
            return;
        }
        if let Some(missed) = self.missed.take() {
            connection.outgoing.send(HubFrame::Missed {
                sub: self.sub,
                count: missed.count,
                lasted: missed.since.elapsed(),
            });
        }
    }
}
