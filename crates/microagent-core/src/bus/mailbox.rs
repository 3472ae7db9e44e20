//! A mailbox between a driver's connection and one subscription's stream: bounded in bytes, and true about what was missed.
//!
//! It knows no server, no pattern and no task: a driver keeps one for each of its subscriptions, and tells it what happens on
//! the connection.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{BusEvent, BusMessage, Gap};
use crate::{Error, Result};

/// The most bytes of signals that wait to be read from one stream; beyond it, they are missed.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// What an event takes beside its text while it waits.
const EVENT: usize = 128;

/// The connection's end of one subscription, for drivers.
///
/// It never blocks. When [16 MiB](Self::hear) wait to be read, what comes then is counted, and told as a loss and a gap once
/// there is room again, so that a slow reader stops neither the connection nor the other subscriptions, and takes a bounded
/// part of the memory.
///
/// ```
/// use futures_util::StreamExt;
/// use microagent_core::{BusEvent, Mailbox};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let (mut mailbox, mut stream) = Mailbox::new();
/// mailbox.go_live(); // the server has confirmed the subscription
/// assert!(matches!(stream.live().await, Some(Ok(()))));
///
/// mailbox.hear("PUBSUB:started:shell", "{}".into());
/// assert!(matches!(stream.next().await, Some(BusEvent::Message(_))));
///
/// mailbox.lose("connection reset"); // once for each interruption
/// mailbox.go_live();
/// assert!(matches!(stream.next().await, Some(BusEvent::Lost(_))));
/// assert!(matches!(stream.next().await, Some(BusEvent::Gap(_))));
///
/// drop(mailbox); // the bus was closed
/// assert!(stream.next().await.is_none());
/// # });
/// ```
#[derive(Debug)]
pub struct Mailbox {
    events: mpsc::UnboundedSender<BusEvent>,
    waiting: Arc<AtomicUsize>,
    /// Told when the subscription is live for the first time.
    live: Option<oneshot::Sender<Result<()>>>,
    /// The connection was lost then, for this reason.
    lost: Option<(Instant, String)>,
    /// Since when signals are missed because the stream is not read, and how many.
    missed: Option<(Instant, u64)>,
}

impl Mailbox {
    /// A mailbox and the stream that reads it. The subscription is not live yet.
    #[must_use]
    pub fn new() -> (Self, MailboxStream) {
        let (sender, events) = mpsc::unbounded_channel();
        let (live, lives) = oneshot::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let mailbox = Self {
            events: sender,
            waiting: Arc::clone(&waiting),
            live: Some(live),
            lost: None,
            missed: None,
        };
        let stream = MailboxStream {
            events,
            waiting,
            live: Some(lives),
        };
        (mailbox, stream)
    }

    /// The server has confirmed the subscription: for the first time, which [`MailboxStream::live`] waits for, or again, which
    /// ends the gap.
    pub fn go_live(&mut self) {
        if let Some((since, reason)) = self.lost.take() {
            let lasted = since.elapsed();
            self.tell(BusEvent::Gap(Gap { lasted, reason }));
        }
        if let Some(live) = self.live.take() {
            // Whoever asked may have stopped waiting.
            let _ = live.send(Ok(()));
        }
    }

    /// Whether the subscription never was live yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.live.is_some()
    }

    /// The server does not allow the subscription: whoever waits for it to be live is told, and the stream ends.
    pub fn refuse(self, error: Error) {
        if let Some(live) = self.live {
            // Whoever asked may have stopped waiting.
            let _ = live.send(Err(error));
        }
    }

    /// The connection is lost. It is told once until the subscription is live again, and not to one that never was: that
    /// misses nothing.
    pub fn lose(&mut self, reason: &str) {
        if self.is_new() || self.lost.is_some() {
            return;
        }
        self.catch_up();
        self.lost = Some((Instant::now(), reason.to_owned()));
        self.tell(BusEvent::Lost(reason.to_owned()));
    }

    /// A message of the subscription; it is missed when 16 MiB wait to be read.
    pub fn hear(&mut self, channel: &str, payload: Bytes) {
        self.catch_up();
        if self.missed.is_none() && self.has_room() {
            let channel = channel.to_owned();
            return self.tell(BusEvent::Message(BusMessage { channel, payload }));
        }
        self.missed.get_or_insert_with(|| (Instant::now(), 0)).1 += 1;
    }

    /// So many messages were not sent to this process, in a time of this length, because it reads too slowly: the server
    /// says so.
    pub fn miss(&self, count: u64, lasted: Duration) {
        let reason = format!(
            "{count} signals were not delivered: this process reads its signals too slowly"
        );
        self.tell(BusEvent::Lost(reason.clone()));
        self.tell(BusEvent::Gap(Gap { lasted, reason }));
    }

    /// Tells what was missed where there is room again. A driver calls it from time to time, since after the last message
    /// nothing else does.
    pub fn catch_up(&mut self) {
        if !self.has_room() {
            return;
        }
        if let Some((since, count)) = self.missed.take() {
            self.miss(count, since.elapsed());
        }
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

/// The reading end of a [`Mailbox`]; it ends with it, after what was heard.
#[derive(Debug)]
pub struct MailboxStream {
    events: mpsc::UnboundedReceiver<BusEvent>,
    waiting: Arc<AtomicUsize>,
    live: Option<oneshot::Receiver<Result<()>>>,
}

impl MailboxStream {
    /// Waits until the subscription is live for the first time, or refused. `None` when the mailbox was dropped before: the
    /// connection has ended. To be asked once.
    pub async fn live(&mut self) -> Option<Result<()>> {
        self.live.take()?.await.ok()
    }
}

impl Stream for MailboxStream {
    type Item = BusEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BusEvent>> {
        let event = self.events.poll_recv(cx);
        if let Poll::Ready(Some(event)) = &event {
            self.waiting.fetch_sub(weight(event), Ordering::Relaxed);
        }
        event
    }
}

/// What an event takes while it waits.
fn weight(event: &BusEvent) -> usize {
    match event {
        BusEvent::Message(message) => EVENT + message.channel.len() + message.payload.len(),
        BusEvent::Lost(_) | BusEvent::Gap(_) => EVENT,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::ErrorKind;

    fn live() -> (Mailbox, MailboxStream) {
        let (mut mailbox, stream) = Mailbox::new();
        mailbox.go_live();
        (mailbox, stream)
    }

    fn told(stream: &mut MailboxStream) -> Option<BusEvent> {
        stream.next().now_or_never().flatten()
    }

    fn gap(stream: &mut MailboxStream) -> Gap {
        assert!(matches!(told(stream), Some(BusEvent::Lost(_))));
        match told(stream) {
            Some(BusEvent::Gap(gap)) => gap,
            other => panic!("a gap was to be told, not {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_and_so_is_its_end() {
        let (mut mailbox, mut stream) = live();
        mailbox.lose("gone");
        mailbox.lose("still gone");
        tokio::time::advance(Duration::from_secs(3)).await;
        mailbox.go_live();
        mailbox.go_live();
        let told = gap(&mut stream);
        assert_eq!(
            (told.lasted, told.reason.as_str()),
            (Duration::from_secs(3), "gone")
        );
        drop(mailbox);
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn one_that_never_was_live_loses_nothing() {
        let (mut mailbox, mut stream) = Mailbox::new();
        assert!(mailbox.is_new());
        mailbox.lose("gone");
        mailbox.go_live();
        assert!(!mailbox.is_new());
        assert!(matches!(stream.live().await, Some(Ok(()))));
        assert_eq!(told(&mut stream), None);
    }

    #[tokio::test]
    async fn a_refusal_is_told_to_who_waits_and_ends_the_stream() {
        let (mailbox, mut stream) = Mailbox::new();
        mailbox.refuse(Error::new(ErrorKind::Refused, "not allowed"));
        let refused = stream.live().await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert_eq!(stream.next().await, None);

        let (mailbox, mut stream) = Mailbox::new();
        drop(mailbox);
        assert!(stream.live().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_bounded_and_told_of_what_it_missed() {
        let (mut mailbox, mut stream) = live();
        mailbox.hear("a", vec![b'x'; MAX_WAITING].into());
        for _ in 0..3 {
            mailbox.hear("a", Bytes::from_static(b"missed"));
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(matches!(told(&mut stream), Some(BusEvent::Message(_))));
        assert_eq!(told(&mut stream), None, "there was no room");

        mailbox.hear("a", Bytes::from_static(b"heard"));
        let missed = gap(&mut stream);
        assert_eq!(missed.lasted, Duration::from_secs(5));
        assert!(missed.reason.starts_with("3 signals"), "{}", missed.reason);
        let last = told(&mut stream);
        assert!(matches!(last, Some(BusEvent::Message(last)) if last.payload == "heard"));
    }

    #[tokio::test]
    async fn what_was_missed_is_told_when_asked_and_before_a_loss() {
        let (mut mailbox, mut stream) = live();
        for _ in 0..2 {
            mailbox.hear("a", vec![b'x'; MAX_WAITING].into());
        }
        mailbox.catch_up();
        assert!(matches!(told(&mut stream), Some(BusEvent::Message(_))));
        assert_eq!(told(&mut stream), None, "there was no room");
        mailbox.catch_up();
        assert!(gap(&mut stream).reason.starts_with("1 signals"));

        for _ in 0..2 {
            mailbox.hear("a", vec![b'x'; MAX_WAITING].into());
        }
        assert!(matches!(told(&mut stream), Some(BusEvent::Message(_))));
        mailbox.lose("gone");
        assert!(gap(&mut stream).reason.starts_with("1 signals"));
        assert_eq!(told(&mut stream), Some(BusEvent::Lost("gone".to_owned())));
    }

    #[test]
    fn what_was_read_leaves_no_weight() {
        let (mut mailbox, mut stream) = live();
        for n in 0..100 {
            mailbox.hear(&n.to_string(), vec![b'x'; n].into());
        }
        assert_ne!(mailbox.waiting.load(Ordering::Relaxed), 0);
        while told(&mut stream).is_some() {}
        assert_eq!(mailbox.waiting.load(Ordering::Relaxed), 0);
    }
}
