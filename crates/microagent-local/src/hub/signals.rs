//! The subscriptions of all clients, and the signals that slow clients miss.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use foldhash::HashMap;
use microagent_core::{ErrorKind, pattern_matches};
use tokio::time::Instant;

use super::connections::{ConnectionId, Connections};
use crate::protocol::{Failure, HubFrame, LocalId, MAX_FRAME, Text};

/// The maximum number of bytes that the subscriptions of one connection take in the hub.
pub(super) const MAX_KEPT: usize = 64 * 1024 * 1024;

/// The bytes that a subscription takes beside its pattern.
const SUBSCRIPTION: usize = 256;

/// A subscription of one connection.
type SubId = (ConnectionId, LocalId);

/// All subscriptions, grouped by pattern: each pattern is matched once per signal, for any number of
/// subscriptions.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// The topics by number, in the order in which they were created.
    topics: BTreeMap<u64, Topic>,
    last_topic: u64,
    numbers: HashMap<Arc<str>, u64>,
    /// The topic of each subscription.
    subscriptions: BTreeMap<SubId, u64>,
    /// The bytes that the subscriptions of each connection take.
    kept: HashMap<ConnectionId, usize>,
    /// The number of subscriptions with missed signals that are not reported yet.
    behind: usize,
}

#[derive(Debug)]
struct Topic {
    pattern: Arc<str>,
    /// The subscriptions, each with the signals that it has missed.
    listeners: BTreeMap<SubId, Option<Gap>>,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    count: u64,
    since: Instant,
}

impl Signals {
    /// Subscribes. Replaces a subscription of the same number.
    ///
    /// # Errors
    /// [`Refused`](ErrorKind::Refused) if the connection has too many subscriptions.
    pub(super) fn subscribe(
        &mut self,
        connection: ConnectionId,
        sub: LocalId,
        pattern: &str,
    ) -> Result<(), Failure> {
        self.unsubscribe(connection, sub);
        let kept = self.kept.entry(connection).or_default();
        let more = SUBSCRIPTION + pattern.len();
        if *kept + more > MAX_KEPT {
            let text = format!(
                "too many subscriptions on one connection: expected at most {MAX_KEPT} bytes of patterns, and \
                 {SUBSCRIPTION} for each"
            );
            return Err(Failure::new(ErrorKind::Refused, text));
        }
        *kept += more;
        let number = self.topic(pattern);
        if let Some(topic) = self.topics.get_mut(&number) {
            topic.listeners.insert((connection, sub), None);
        }
        self.subscriptions.insert((connection, sub), number);
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, connection: ConnectionId, sub: LocalId) {
        let Some(number) = self.subscriptions.remove(&(connection, sub)) else {
            return;
        };
        let Entry::Occupied(mut topic) = self.topics.entry(number) else {
            return;
        };
        let missed = topic.get_mut().listeners.remove(&(connection, sub));
        self.behind -= usize::from(missed.flatten().is_some());
        if let Some(kept) = self.kept.get_mut(&connection) {
            *kept -= SUBSCRIPTION + topic.get().pattern.len();
        }
        if topic.get().listeners.is_empty() {
            self.numbers.remove(&topic.remove().pattern);
        }
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        let all = (connection, LocalId::MIN)..=(connection, LocalId::MAX);
        let subscriptions = self.subscriptions.range(all);
        let subs: Vec<_> = subscriptions.map(|((_, sub), _)| *sub).collect();
        for sub in subs {
            self.unsubscribe(connection, sub);
        }
        self.kept.remove(&connection);
    }

    /// Returns the number of the topic of this pattern, and creates the topic if there is none.
    fn topic(&mut self, pattern: &str) -> u64 {
        if let Some(number) = self.numbers.get(pattern) {
            return *number;
        }
        self.last_topic += 1;
        let pattern: Arc<str> = pattern.into();
        self.numbers.insert(pattern.clone(), self.last_topic);
        let topic = Topic {
            pattern,
            listeners: BTreeMap::new(),
        };
        self.topics.insert(self.last_topic, topic);
        self.last_topic
    }

    /// Sends a signal to all matching subscriptions, and returns their number.
    pub(super) fn publish(
        &mut self,
        channel: &Text,
        payload: &bytes::Bytes,
        connections: &Connections,
    ) -> u64 {
        let mut receivers = 0;
        for topic in self.topics.values_mut() {
            if !pattern_matches(&topic.pattern, channel) {
                continue;
            }
            for (&(connection, sub), missed) in &mut topic.listeners {
                let event = HubFrame::Event {
                    sub,
                    channel: channel.clone(),
                    payload: payload.clone(),
                };
                let was_behind = missed.is_some();
                send_event((connection, sub), missed, event, connections);
                self.behind += usize::from(missed.is_some());
                self.behind -= usize::from(was_behind);
                receivers += 1;
            }
        }
        receivers
    }

    /// Returns the channels with this head that have a subscription of their own, as many as a frame has room for.
    pub(super) fn channels(&self, head: &str) -> Vec<Text> {
        let patterns = self.numbers.keys();
        let channels =
            patterns.filter(|pattern| pattern.starts_with(head) && !pattern.contains('*'));
        let mut size = 0;
        let within = channels.take_while(|channel| {
            size += 4 + channel.len();
            size <= MAX_FRAME
        });
        within.map(|channel| Text::from(&**channel)).collect()
    }

    /// Returns whether missed signals are still to be reported.
    pub(super) fn is_behind(&self) -> bool {
        self.behind > 0
    }

    /// Reports missed signals to the clients that read again.
    pub(super) fn catch_up(&mut self, connections: &Connections) {
        let listeners = self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.listeners);
        for (id, missed) in listeners.filter(|(_, missed)| missed.is_some()) {
            catch_up(*id, missed, connections);
            self.behind -= usize::from(missed.is_none());
        }
    }
}

fn send_event(id: SubId, missed: &mut Option<Gap>, event: HubFrame, connections: &Connections) {
    catch_up(id, missed, connections);
    let Some(connection) = connections.get(id.0) else {
        return;
    };
    if missed.is_none() && !connection.outgoing.is_full() {
        connection.outgoing.signal(event);
        return;
    }
    let missed = missed.get_or_insert_with(|| Gap {
        count: 0,
        since: Instant::now(),
    });
    missed.count += 1;
}

fn catch_up((connection, sub): SubId, missed: &mut Option<Gap>, connections: &Connections) {
    let Some(connection) = connections.get(connection) else {
        return;
    };
    if connection.outgoing.is_full() {
        return;
    }
    if let Some(missed) = missed.take() {
        connection.outgoing.signal(HubFrame::Gap {
            sub,
            count: missed.count,
            lasted: missed.since.elapsed(),
        });
    }
}
