//! The connection's end of all subscriptions: where events go, and what is told of gaps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use foldhash::HashMap;
use microagent_core::{BusEvent, Gap, Published, Result};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::command::{SessionId, interruption};
use crate::protocol::{LocalId, Text};

/// The most bytes of signals that wait to be read from one stream; beyond it, they are missed.
const MAX_WAITING: usize = 16 * 1024 * 1024;

const TOO_SLOW: &str = "this process reads its signals too slowly";

/// The way to one stream.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) session: SessionId,
    pub(super) events: mpsc::UnboundedSender<BusEvent>,
    pub(super) waiting: Arc<AtomicUsize>,
    /// Told when the subscription is live for the first time.
    pub(super) live: Option<oneshot::Sender<Result<()>>>,
}

#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<LocalId, Subscription>);

#[derive(Debug)]
struct Subscription {
    pattern: Text,
    mailbox: Mailbox,
    /// The connection was lost then, for this reason.
    lost: Option<(Instant, String)>,
    /// Signals are being missed since then.
    missed: Option<(Instant, u64)>,
}

impl Subscriptions {
    pub(super) fn insert(&mut self, sub: LocalId, pattern: Text, mailbox: Mailbox) {
        let subscription = Subscription {
            pattern,
            mailbox,
            lost: None,
            missed: None,
        };
        self.0.insert(sub, subscription);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, sub: LocalId) -> bool {
        self.0.remove(&sub).is_some()
    }

    /// Ends those of a handle, and gives their numbers.
    pub(super) fn close(&mut self, session: SessionId) -> Vec<LocalId> {
        let of_session = |subscription: &Subscription| subscription.mailbox.session == session;
        let ended = self
            .0
            .extract_if(|_, subscription| of_session(subscription));
        ended.map(|(sub, _)| sub).collect()
    }

    /// What is to be subscribed on a new connection.
    pub(super) fn patterns(&self) -> Vec<(LocalId, Text)> {
        let patterns = self.0.iter();
        patterns
            .map(|(sub, subscription)| (*sub, subscription.pattern.clone()))
            .collect()
    }

    /// It is live, for the first time or again.
    pub(super) fn live(&mut self, sub: LocalId) {
        let Some(subscription) = self.0.get_mut(&sub) else {
            return;
        };
        if let Some((since, reason)) = subscription.lost.take() {
            let lasted = since.elapsed();
            let gap = Gap { lasted, reason };
            subscription.mailbox.tell(BusEvent::Gap(gap));
        }
        if let Some(live) = subscription.mailbox.live.take() {
            let _ = live.send(Ok(()));
        }
    }

    /// The connection is lost.
    pub(super) fn lost(&mut self, reason: &str) {
        for subscription in self.0.values_mut() {
            subscription.catch_up();
            // One that never was live misses nothing.
            if subscription.mailbox.live.is_none() && subscription.lost.is_none() {
                subscription.lost = Some((Instant::now(), reason.to_owned()));
                subscription.mailbox.tell(BusEvent::Lost(reason.to_owned()));
            }
        }
    }

    pub(super) fn hear(&mut self, sub: LocalId, channel: &Text, payload: Bytes) {
        if let Some(subscription) = self.0.get_mut(&sub) {
            subscription.hear(channel, payload);
        }
    }

    /// The hub could not send everything.
    pub(super) fn missed(&mut self, sub: LocalId, count: u64, lasted: Duration) {
        if let Some(subscription) = self.0.get_mut(&sub) {
            subscription.mailbox.tell_of_missed(count, lasted);
        }
    }

    /// Tells those who read again what they missed.
    pub(super) fn catch_up(&mut self) {
        self.0.values_mut().for_each(Subscription::catch_up);
    }
}

impl Subscription {
    fn hear(&mut self, channel: &Text, payload: Bytes) {
        self.catch_up();
        if self.missed.is_none() && self.mailbox.has_room() {
            let channel = channel.to_string();
            let event = BusEvent::Message(Published { channel, payload });
            self.mailbox.tell(event);
            return;
        }
        self.missed.get_or_insert_with(|| (Instant::now(), 0)).1 += 1;
    }

    fn catch_up(&mut self) {
        if !self.mailbox.has_room() {
            return;
        }
        if let Some((since, count)) = self.missed.take() {
            self.mailbox.tell_of_missed(count, since.elapsed());
        }
    }
}

impl Mailbox {
    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < MAX_WAITING
    }

    fn tell(&self, event: BusEvent) {
        self.waiting.fetch_add(weight(&event), Ordering::Relaxed);
        // A stream that is being dropped needs nothing more.
        let _ = self.events.send(event);
    }

    fn tell_of_missed(&self, count: u64, lasted: Duration) {
        let reason = format!("{count} signals were not delivered: {TOO_SLOW}");
        for event in interruption(reason, lasted) {
            self.tell(event);
        }
    }
}

/// What an event takes while it waits.
pub(super) fn weight(event: &BusEvent) -> usize {
    match event {
        BusEvent::Message(published) => 128 + published.channel.len() + published.payload.len(),
        _ => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribed() -> (
        Subscriptions,
        mpsc::UnboundedReceiver<BusEvent>,
        Arc<AtomicUsize>,
    ) {
        let (events, heard) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let mailbox = Mailbox {
            session: 1,
            events,
            waiting: waiting.clone(),
            live: None,
        };
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(1, "*".into(), mailbox);
        (subscriptions, heard, waiting)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_and_so_is_its_end() {
        let (mut subscriptions, mut heard, _) = subscribed();
        subscriptions.lost("the hub is gone");
        subscriptions.lost("nobody hosts");
        tokio::time::advance(Duration::from_secs(3)).await;
        subscriptions.live(1);
        subscriptions.live(1);
        let reason = "the hub is gone".to_owned();
        let lasted = Duration::from_secs(3);
        assert_eq!(heard.try_recv().unwrap(), BusEvent::Lost(reason.clone()));
        assert_eq!(
            heard.try_recv().unwrap(),
            BusEvent::Gap(Gap { lasted, reason })
        );
        assert!(heard.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_read_misses_signals_and_is_told_when_it_is() {
        let (mut subscriptions, mut heard, waiting) = subscribed();
        let large = Bytes::from(vec![0; MAX_WAITING]);
        for _ in 0..3 {
            subscriptions.hear(1, &"a".into(), large.clone());
        }
        let first = heard.try_recv().unwrap();
        assert!(heard.try_recv().is_err());
        waiting.fetch_sub(weight(&first), Ordering::Relaxed);
        subscriptions.catch_up();
        assert!(
            matches!(heard.try_recv(), Ok(BusEvent::Lost(reason)) if reason.starts_with("2 signals"))
        );
        assert!(matches!(heard.try_recv(), Ok(BusEvent::Gap(_))));
        subscriptions.hear(1, &"a".into(), Bytes::new());
        assert!(matches!(heard.try_recv(), Ok(BusEvent::Message(_))));
    }
}
