//! A mailbox between a driver's connection and one subscription's stream. It is bounded in bytes and reports
//! missed messages.
//!
//! A mailbox does not depend on a server, a pattern or a task: a driver keeps one mailbox for each of its
//! subscriptions and passes the events of the connection to it.

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

/// The maximum bytes of signals that wait to be read from one stream. Further signals are missed.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// The bytes that a waiting event counts in addition to its text.
const EVENT: usize = 128;

/// The sending end of one subscription, for drivers.
///
/// A mailbox never blocks. While [16 MiB](Self::hear) wait to be read, it only counts further messages. When
/// there is room again, it reports them as a loss and a gap. A slow reader therefore stops neither the
/// connection nor the other subscriptions, and takes a bounded amount of memory.
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
    /// Receives the result when the subscription is live for the first time, or refused.
    live: Option<oneshot::Sender<Result<()>>>,
    /// The time at which the connection was lost, and the reason.
    lost: Option<(Instant, String)>,
    /// The time since which signals are missed because the stream is not read, and their number.
    missed: Option<(Instant, u64)>,
}

impl Mailbox {
    /// Creates a mailbox and the stream that reads it. The subscription is not live yet.
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

    /// Records that the server has confirmed the subscription. The first confirmation completes
    /// [`MailboxStream::live`]; a later one ends the gap.
    pub fn go_live(&mut self) {
        if let Some((since, reason)) = self.lost.take() {
            let lasted = since.elapsed();
            self.tell(BusEvent::Gap(Gap { lasted, reason }));
        }
        if let Some(live) = self.live.take() {
            // The receiver may have stopped waiting.
            let _ = live.send(Ok(()));
        }
    }

    /// Returns `true` if the subscription has never been live.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.live.is_some()
    }

    /// Records that the server does not allow the subscription. [`MailboxStream::live`] returns the error, and
    /// the stream ends.
    pub fn refuse(self, error: Error) {
        if let Some(live) = self.live {
            // The receiver may have stopped waiting.
            let _ = live.send(Err(error));
        }
    }

    /// Records that the connection is lost. The loss is reported once until the subscription is live again. It is
    /// not reported if the subscription has never been live, because then nothing is missed.
    pub fn lose(&mut self, reason: &str) {
        if self.is_new() || self.lost.is_some() {
            return;
        }
        self.catch_up();
        self.lost = Some((Instant::now(), reason.to_owned()));
        self.tell(BusEvent::Lost(reason.to_owned()));
    }

    /// Passes a message to the subscription. The message is missed if 16 MiB wait to be read.
    pub fn hear(&mut self, channel: &str, payload: Bytes) {
        self.catch_up();
        if self.missed.is_none() && self.has_room() {
            let channel = channel.to_owned();
            return self.tell(BusEvent::Message(BusMessage { channel, payload }));
        }
        self.missed.get_or_insert_with(|| (Instant::now(), 0)).1 += 1;
    }

    /// Reports that the server did not send `count` messages to this process, over a time of `lasted`, because
    /// the process reads too slowly. The server supplies this information.
    pub fn miss(&self, count: u64, lasted: Duration) {
        let reason = format!(
            "{count} signals were not delivered: this process reads its signals too slowly"
        );
        self.tell(BusEvent::Lost(reason.clone()));
        self.tell(BusEvent::Gap(Gap { lasted, reason }));
    }

    /// Reports missed messages if there is room again. A driver calls it from time to time, because nothing else
    /// does so after the last message.
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
        // A stream that is being dropped does not need further events.
        let _ = self.events.send(event);
    }
}

/// The reading end of a [`Mailbox`]. After the mailbox is dropped, the stream yields the remaining events and
/// ends.
#[derive(Debug)]
pub struct MailboxStream {
    events: mpsc::UnboundedReceiver<BusEvent>,
    waiting: Arc<AtomicUsize>,
    live: Option<oneshot::Receiver<Result<()>>>,
}

impl MailboxStream {
    /// Waits until the subscription is live for the first time, or refused. Returns `None` if the mailbox was
    /// dropped before, because the connection has ended. Call it only once.
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

/// Returns the bytes that an event counts while it waits.
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

    fn next(stream: &mut MailboxStream) -> Option<BusEvent> {
        stream.next().now_or_never().flatten()
    }

    fn gap(stream: &mut MailboxStream) -> Gap {
        assert!(matches!(next(stream), Some(BusEvent::Lost(_))));
        match next(stream) {
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
        let gap = gap(&mut stream);
        assert_eq!(
            (gap.lasted, gap.reason.as_str()),
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
        assert_eq!(next(&mut stream), None);
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
        assert!(matches!(next(&mut stream), Some(BusEvent::Message(_))));
        assert_eq!(next(&mut stream), None, "there was no room");

        mailbox.hear("a", Bytes::from_static(b"heard"));
        let missed = gap(&mut stream);
        assert_eq!(missed.lasted, Duration::from_secs(5));
        assert!(missed.reason.starts_with("3 signals"), "{}", missed.reason);
        let last = next(&mut stream);
        assert!(matches!(last, Some(BusEvent::Message(last)) if last.payload == "heard"));
    }

    #[tokio::test]
    async fn missed_messages_are_reported_on_request_and_before_a_loss() {
        let (mut mailbox, mut stream) = live();
        for _ in 0..2 {
            mailbox.hear("a", vec![b'x'; MAX_WAITING].into());
        }
        mailbox.catch_up();
        assert!(matches!(next(&mut stream), Some(BusEvent::Message(_))));
        assert_eq!(next(&mut stream), None, "there was no room");
        mailbox.catch_up();
        assert!(gap(&mut stream).reason.starts_with("1 signals"));

        for _ in 0..2 {
            mailbox.hear("a", vec![b'x'; MAX_WAITING].into());
        }
        assert!(matches!(next(&mut stream), Some(BusEvent::Message(_))));
        mailbox.lose("gone");
        assert!(gap(&mut stream).reason.starts_with("1 signals"));
        assert_eq!(next(&mut stream), Some(BusEvent::Lost("gone".to_owned())));
    }

    #[test]
    fn read_messages_leave_no_weight() {
        let (mut mailbox, mut stream) = live();
        for n in 0..100 {
            mailbox.hear(&n.to_string(), vec![b'x'; n].into());
        }
        assert_ne!(mailbox.waiting.load(Ordering::Relaxed), 0);
        while next(&mut stream).is_some() {}
        assert_eq!(mailbox.waiting.load(Ordering::Relaxed), 0);
    }
}
