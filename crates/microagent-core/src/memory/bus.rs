//! The bus of `memory://`: a published message is put into the mailbox of each subscription that matches.

use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream};
use tokio::sync::mpsc;

use super::{MemoryOptions, server::Server};
use crate::{
    BusEvent, BusMessage, Lease, Leases, Result, SignalBus, SubscriberCount, check_published,
    driver::{ConnectionRecord, ConnectionState, bus_closed, lock},
    pattern_matches,
};

/// A connection to the bus of a `memory://` server.
///
/// A subscription keeps what it was sent until it is read: who subscribes without reading grows.
///
/// ```
/// use futures_util::StreamExt;
/// use microagent_core::{BusEvent, MemoryBus, MemoryOptions, SignalBus};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let bus = MemoryBus::open(&MemoryOptions::default());
/// let mut heard = bus.subscribe("PUBSUB:started:*").await?;
/// bus.publish("PUBSUB:started:shell", "{}".into()).await?;
/// assert!(matches!(heard.next().await, Some(BusEvent::Message(message)) if message.payload == "{}"));
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct MemoryBus {
    server: Arc<Server>,
    address: String,
    id: u64,
    closed: AtomicBool,
    connection: ConnectionRecord,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBus {
    /// A connection to a server of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::open(&MemoryOptions::default())
    }

    /// Connects. Dropping the connection ends nothing: subscriptions end with their streams, or by
    /// [`close`](SignalBus::close).
    #[must_use]
    pub fn open(options: &MemoryOptions) -> Self {
        let server = options.server();
        let id = server.subscriptions.new_id();
        Self {
            server,
            address: options.address(),
            id,
            closed: AtomicBool::new(false),
            connection: ConnectionRecord::always_up(),
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(bus_closed());
        }
        Ok(())
    }
}

#[async_trait]
impl SignalBus for MemoryBus {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.check_open()?;
        check_published(channel, payload.len())?;
        Ok(SubscriberCount::Counted(
            self.server.subscriptions.publish(channel, &payload),
        ))
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        self.check_open()?;
        let subscription = Subscription::new(&self.server, self.id, pattern);
        Ok(Box::pin(subscription))
    }

    async fn subscribed(&self, head: &str) -> Result<Vec<String>> {
        self.check_open()?;
        Ok(self.server.subscriptions.channels(head))
    }

    async fn ready(&self) -> Result<()> {
        self.check_open()
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    /// Up until the bus is closed.
    fn connection(&self) -> Option<ConnectionState> {
        Some(self.connection.state())
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.connection.down(bus_closed());
        self.server
            .subscriptions
            .remove(|mailbox| mailbox.bus == self.id);
        Ok(())
    }
}

#[async_trait]
impl Leases for MemoryBus {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.check_open()?;
        Ok(self.server.leases.ask(key, holder, ttl))
    }
}

/// All subscriptions of a server.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// By the [head](head_of) of their patterns, so that a message is not compared with the patterns of all other signals.
    mailboxes: Mutex<HashMap<String, Vec<Mailbox>>>,
    last_id: AtomicU64,
}

/// Returns the part of a pattern that all matching channels start with, up to its last `:`.
fn head_of(pattern: &str) -> &str {
    let literal = pattern.split('*').next().unwrap_or_default();
    literal.rfind(':').map_or("", |end| &literal[..=end])
}

/// Returns the heads of all patterns that may match a channel.
fn heads(channel: &str) -> impl Iterator<Item = &str> {
    let ends = channel.match_indices(':').map(|(end, _)| end + 1);
    std::iter::once(0).chain(ends).map(|end| &channel[..end])
}

#[derive(Debug)]
struct Mailbox {
    id: u64,
    bus: u64,
    pattern: String,
    sender: mpsc::UnboundedSender<BusEvent>,
}

impl Subscriptions {
    fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    fn publish(&self, channel: &str, payload: &Bytes) -> u64 {
        let mailboxes = lock(&self.mailboxes);
        let mut receivers = 0;
        for mailbox in heads(channel)
            .filter_map(|head| mailboxes.get(head))
            .flatten()
        {
            if pattern_matches(&mailbox.pattern, channel) {
                let message = BusMessage {
                    channel: channel.to_owned(),
                    payload: payload.clone(),
                };
                receivers += u64::from(mailbox.sender.send(BusEvent::Message(message)).is_ok());
            }
        }
        receivers
    }

    /// Returns the channels with this head that have a subscription of their own.
    fn channels(&self, head: &str) -> Vec<String> {
        let mailboxes = lock(&self.mailboxes);
        let patterns = mailboxes.values().flatten().map(|mailbox| &mailbox.pattern);
        let channels =
            patterns.filter(|pattern| pattern.starts_with(head) && !pattern.contains('*'));
        channels
            .collect::<BTreeSet<_>>()
            .into_iter()
            .cloned()
            .collect()
    }

    fn insert(&self, mailbox: Mailbox) {
        let head = head_of(&mailbox.pattern).to_owned();
        lock(&self.mailboxes).entry(head).or_default().push(mailbox);
    }

    fn remove(&self, which: impl Fn(&Mailbox) -> bool) {
        lock(&self.mailboxes).retain(|_, mailboxes| {
            mailboxes.retain(|mailbox| !which(mailbox));
            !mailboxes.is_empty()
        });
    }
}

/// The reading end of a mailbox; the subscription ends with it.
struct Subscription {
    server: Arc<Server>,
    id: u64,
    events: mpsc::UnboundedReceiver<BusEvent>,
}

impl Subscription {
    fn new(server: &Arc<Server>, bus: u64, pattern: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let id = server.subscriptions.new_id();
        let mailbox = Mailbox {
            id,
            bus,
            pattern: pattern.to_owned(),
            sender,
        };
        server.subscriptions.insert(mailbox);
        Self {
            server: server.clone(),
            id,
            events,
        }
    }
}

impl Stream for Subscription {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        self.events.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.server
            .subscriptions
            .remove(|mailbox| mailbox.id == self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_by_every_channel_that_it_matches() {
        let patterns = [
            "*",
            "a",
            "a:*",
            "a:b:*",
            "a:b*",
            "*:b:c",
            "a:*:c",
            "a:b:c",
            "P:response:*#t-*",
        ];
        let channels = [
            "",
            "a",
            "a:",
            "a:b:",
            "a:b:c",
            "a:bc:c",
            "x:b:c",
            "P:response:uid#t-7",
        ];
        for pattern in patterns {
            for channel in channels {
                let found = heads(channel).any(|head| head == head_of(pattern));
                assert!(
                    found || !pattern_matches(pattern, channel),
                    "{pattern} {channel}"
                );
            }
        }
    }

    #[tokio::test]
    async fn each_matching_subscription_receives_a_message_once() {
        let bus = MemoryBus::new();
        let mut subscriptions = Vec::new();
        for pattern in ["a:b:*", "a:*", "*", "a:b:c", "a:c:*"] {
            subscriptions.push(bus.subscribe(pattern).await.unwrap());
        }
        let count = bus.publish("a:b:c", Bytes::new()).await.unwrap();
        assert_eq!(count, SubscriberCount::Counted(4));
        drop(subscriptions);
        let count = bus.publish("a:b:c", Bytes::new()).await.unwrap();
        assert_eq!(count, SubscriberCount::Counted(0));
        assert!(lock(&bus.server.subscriptions.mailboxes).is_empty());
    }
}
