//! The table of subscriptions: which patterns are live, where their messages go, and what is told of gaps.
//!
//! It sends nothing to the server; [`subscriber`](super::subscriber) does, and tells it what came of it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use microagent_core::{BusEvent, Error, Gap, Published, Result};
use redis::Msg;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// The most bytes of signals that wait to be read from one stream; beyond it, they are missed.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// How many bytes wait to be read from one stream.
pub(super) type Waiting = Arc<AtomicUsize>;

/// All subscriptions of a bus, by the server's globs.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<Arc<str>, Entry>);

#[derive(Debug, Default)]
struct Entry {
    /// The server has confirmed it on this connection.
    live: bool,
    mailboxes: Vec<Mailbox>,
}

/// The way to one stream.
#[derive(Debug)]
pub(super) struct Mailbox {
    id: u64,
    events: mpsc::UnboundedSender<BusEvent>,
    waiting: Waiting,
    /// Told when it is live for the first time.
    live: Option<oneshot::Sender<Result<()>>>,
    /// The connection was lost then, for this reason.
    lost: Option<(Instant, String)>,
    /// Since when messages are missed because the stream is not read, and how many.
    missed: Option<(Instant, u64)>,
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, glob: Arc<str>, mut mailbox: Mailbox) {
        let entry = self.0.entry(glob).or_default();
        if entry.live {
            mailbox.go_live();
        }
        entry.mailboxes.push(mailbox);
    }

    /// Forgets one stream.
    pub(super) fn remove(&mut self, glob: &str, id: u64) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.mailboxes.retain(|mailbox| mailbox.id != id);
        }
    }

    /// Forgets the globs that no stream is left of, and gives those that the server still knows.
    pub(super) fn extract_unheard(&mut self) -> Vec<Arc<str>> {
        let unheard = self.0.extract_if(|_, entry| entry.mailboxes.is_empty());
        unheard
            .filter(|(_, entry)| entry.live)
            .map(|(glob, _)| glob)
            .collect()
    }

    /// The globs that the server is to be asked for.
    pub(super) fn missing(&self) -> Vec<Arc<str>> {
        let missing = self.0.iter().filter(|(_, entry)| !entry.live);
        missing.map(|(glob, _)| Arc::clone(glob)).collect()
    }

    /// The server has confirmed this one.
    pub(super) fn go_live(&mut self, glob: &str) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.live = true;
            entry.mailboxes.iter_mut().for_each(Mailbox::go_live);
        }
    }

    /// The server has refused this one: whoever waits for it for the first time is told and waits no more.
    pub(super) fn refuse(&mut self, glob: &str, error: &Error) {
        if let Some(entry) = self.0.get_mut(glob) {
            entry.refuse(error);
        }
    }

    /// The server has refused all.
    pub(super) fn refuse_all(&mut self, error: &Error) {
        self.0.values_mut().for_each(|entry| entry.refuse(error));
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, reason: &str) {
        for entry in self.0.values_mut() {
            entry.live = false;
            let mailboxes = entry.mailboxes.iter_mut();
            mailboxes.for_each(|mailbox| mailbox.lose(reason));
        }
    }

    /// A message for all streams of the glob by which it came.
    pub(super) fn hear(&mut self, message: &Msg) {
        let glob: redis::RedisResult<String> = message.get_pattern();
        let entry = glob.ok().and_then(|glob| self.0.get_mut(&*glob));
        let Some(entry) = entry else { return };
        let payload = Bytes::copy_from_slice(message.get_payload_bytes());
        for mailbox in &mut entry.mailboxes {
            mailbox.hear(message.get_channel_name(), payload.clone());
        }
    }

    /// Tells those who read again what they missed.
    pub(super) fn catch_up(&mut self) {
        let mailboxes = self.0.values_mut().flat_map(|entry| &mut entry.mailboxes);
        mailboxes.for_each(Mailbox::catch_up);
    }
}

impl Entry {
    fn refuse(&mut self, error: &Error) {
        for refused in self
            .mailboxes
            .extract_if(.., |mailbox| mailbox.live.is_some())
        {
            // Whoever asked may have stopped waiting.
            let _ = refused.live.map(|live| live.send(Err(error.again())));
        }
    }
}

impl Mailbox {
    pub(super) fn new(
        id: u64,
        events: mpsc::UnboundedSender<BusEvent>,
        waiting: Waiting,
        live: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self {
            id,
            events,
            waiting,
            live: Some(live),
            lost: None,
            missed: None,
        }
    }

    fn go_live(&mut self) {
        if let Some((since, reason)) = self.lost.take() {
            let lasted = since.elapsed();
            self.tell(BusEvent::Gap(Gap { lasted, reason }));
        }
        if let Some(live) = self.live.take() {
            // Whoever asked may have stopped waiting.
            let _ = live.send(Ok(()));
        }
    }

    fn lose(&mut self, reason: &str) {
        // One that never was live misses nothing.
        if self.live.is_none() && self.lost.is_none() {
            self.catch_up();
            self.lost = Some((Instant::now(), reason.to_owned()));
            self.tell(BusEvent::Lost(reason.to_owned()));
        }
    }

    fn hear(&mut self, channel: &str, payload: Bytes) {
        self.catch_up();
        if self.missed.is_none() && self.has_room() {
            let channel = channel.to_owned();
            return self.tell(BusEvent::Message(Published { channel, payload }));
        }
        self.missed.get_or_insert_with(|| (Instant::now(), 0)).1 += 1;
    }

    fn catch_up(&mut self) {
        if !self.has_room() {
            return;
        }
        if let Some((since, count)) = self.missed.take() {
            self.tell_of_missed(count, since.elapsed());
        }
    }

    fn tell_of_missed(&self, count: u64, lasted: Duration) {
        let reason = format!(
            "{count} signals were not delivered: this process reads its signals too slowly"
        );
        self.tell(BusEvent::Lost(reason.clone()));
        self.tell(BusEvent::Gap(Gap { lasted, reason }));
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < MAX_WAITING
    }

    fn tell(&self, event: BusEvent) {
        self.waiting.fetch_add(weight(&event), Ordering::Relaxed);
        // A stream that is being dropped needs nothing more.
        let _ = self.events.send(event);
    }
}

/// What an event takes while it waits.
pub(super) fn weight(event: &BusEvent) -> usize {
    const EVENT: usize = 128;
    match event {
        BusEvent::Message(message) => EVENT + message.channel.len() + message.payload.len(),
        _ => EVENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> (Mailbox, mpsc::UnboundedReceiver<BusEvent>, Waiting) {
        let (events, received) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        let (live, _) = oneshot::channel();
        let mut mailbox = Mailbox::new(1, events, waiting.clone(), live);
        mailbox.go_live();
        (mailbox, received, waiting)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_bounded_and_told_of_what_it_missed() {
        let (mut mailbox, mut received, waiting) = mailbox();
        let big = Bytes::from(vec![b'x'; MAX_WAITING]);
        mailbox.hear("a", big);
        for _ in 0..3 {
            mailbox.hear("a", Bytes::from_static(b"missed"));
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(matches!(received.recv().await, Some(BusEvent::Message(_))));
        waiting.store(0, Ordering::Relaxed);
        mailbox.hear("a", Bytes::from_static(b"heard"));

        assert!(matches!(received.recv().await, Some(BusEvent::Lost(_))));
        let Some(BusEvent::Gap(gap)) = received.recv().await else {
            panic!("a gap was to be told");
        };
        assert_eq!(gap.lasted, Duration::from_secs(5));
        assert!(gap.reason.starts_with("3 signals"), "{}", gap.reason);
        let last = received.recv().await;
        assert!(matches!(last, Some(BusEvent::Message(message)) if message.payload == "heard"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_and_ends_in_one_gap() {
        let (mut mailbox, mut received, _) = mailbox();
        mailbox.lose("gone");
        mailbox.lose("still gone");
        tokio::time::advance(Duration::from_secs(2)).await;
        mailbox.go_live();
        drop(mailbox);
        assert_eq!(received.recv().await, Some(BusEvent::Lost("gone".into())));
        let gap = Gap {
            lasted: Duration::from_secs(2),
            reason: "gone".into(),
        };
        assert_eq!(received.recv().await, Some(BusEvent::Gap(gap)));
        assert_eq!(received.recv().await, None);
    }
}
