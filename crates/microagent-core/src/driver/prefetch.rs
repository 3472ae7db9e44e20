//! The channel between the loop that fetches messages and the stream of a consumer, and the limit of
//! messages that the consumer has in flight.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::Stream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::SuspectGate;
use crate::Delivery;

/// The most messages that one consumer can have in flight.
const LARGEST: usize = 1 << 24;

/// Creates the channel of one consumer. The loop that fetches messages owns the sender and shares the
/// limit with its settlements; `consume` returns the stream.
///
/// - Before it fetches, the loop asks [`Prefetch::available`] how many messages it may fetch.
/// - For each message it takes a [`Slot`], which the driver's [`Settle`](crate::Settle) keeps until the
///   settlement is carried out.
/// - If the stream is dropped, `stopping` is cancelled, and each delivery that was not read is returned to its queue.
/// - If the sender is dropped, the stream ends after the deliveries that were sent.
///
/// `stopping` may be a child of a token that the broker cancels when it closes.
///
/// ```
/// use microagent_core::{Delivery, Message, Settle, SettleFuture, Settlement, driver::{Slot, delivery_channel}};
/// use futures_util::StreamExt;
///
/// #[derive(Debug)]
/// struct Settler(Slot);
///
/// impl Settle for Settler {
///     fn settle(self: Box<Self>, _message: &Message, _settlement: Settlement) -> SettleFuture {
///         SettleFuture::done(Ok(())) // the slot is free when this returns
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (prefetch, sender, mut stream) = delivery_channel(1, Default::default(), Default::default());
/// assert_eq!(prefetch.available().await, Some(1));
/// let settler = Settler(prefetch.slot());
/// sender.send(Delivery::new(Message::new("jobs", "a"), Box::new(settler)));
///
/// stream.next().await.expect("a delivery").ack().await.unwrap();
/// prefetch.all_free().await;
/// drop(stream);
/// assert_eq!(prefetch.available().await, None, "the consumer stops");
/// # });
/// ```
pub fn delivery_channel(
    prefetch: usize,
    gate: Arc<SuspectGate>,
    stopping: CancellationToken,
) -> (Prefetch, DeliverySender, DeliveryStream) {
    let (deliveries, received) = mpsc::unbounded_channel();
    let limit = prefetch.clamp(1, LARGEST);
    let prefetch = Prefetch(Arc::new(Limit {
        slots: Semaphore::new(limit),
        limit,
        gate,
        stopping: stopping.clone(),
    }));
    let stream = DeliveryStream {
        deliveries: received,
        stopping,
    };
    (prefetch, DeliverySender(deliveries), stream)
}

/// The number of messages that one consumer may have in flight. Clones share it.
#[derive(Clone, Debug)]
pub struct Prefetch(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    slots: Semaphore,
    limit: usize,
    gate: Arc<SuspectGate>,
    stopping: CancellationToken,
}

impl Prefetch {
    /// Waits until at least one message may be fetched, and returns how many; `None` if the consumer stops.
    pub async fn available(&self) -> Option<usize> {
        let free = tokio::select! {
            biased;
            () = self.0.stopping.cancelled() => return None,
            free = self.0.slots.acquire() => free.ok()?,
        };
        drop(free);
        Some(self.0.slots.available_permits().max(1))
    }

    /// Takes the slot of a message that was fetched. A message beyond the limit, such as one of a reply that
    /// came late, gets a slot that does not count.
    #[must_use = "the slot is free again when this is dropped"]
    pub fn slot(&self) -> Slot {
        let counts = self.0.slots.try_acquire().map(SemaphorePermit::forget);
        Slot {
            limit: Arc::clone(&self.0),
            counts: counts.is_ok(),
        }
    }

    /// Waits until no message is in flight. Call it when nothing is fetched any longer.
    pub async fn all_free(&self) {
        let all = u32::try_from(self.0.limit).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.0.slots.acquire_many(all).await;
    }
}

/// The share of one message in the [`Prefetch`] of its consumer. It is free again when this is dropped;
/// the [`SuspectGate`] is told.
pub struct Slot {
    limit: Arc<Limit>,
    counts: bool,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limit.slots.add_permits(usize::from(self.counts));
        self.limit.gate.settled();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// The sending end of a consumer's deliveries. The stream ends when this is dropped.
#[derive(Debug)]
pub struct DeliverySender(mpsc::UnboundedSender<Delivery>);

impl DeliverySender {
    /// Passes a delivery to the stream. If the stream was dropped, the delivery is returned to its queue.
    pub fn send(&self, delivery: Delivery) {
        // An unread delivery is returned when it is dropped.
        let _ = self.0.send(delivery);
    }
}

/// The deliveries of one consumer, which stops when this is dropped.
#[derive(Debug)]
#[must_use = "the consumer stops when this is dropped"]
pub struct DeliveryStream {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    stopping: CancellationToken,
}

impl Stream for DeliveryStream {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.deliveries.poll_recv(cx)
    }
}

impl Drop for DeliveryStream {
    fn drop(&mut self) {
        // First, so that nothing is fetched into the slots of the deliveries that are returned now.
        self.stopping.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::{Message, Settle, SettleFuture, Settlement, driver::lock};

    /// Records settlements. The slot is free when a settlement is carried out.
    #[derive(Debug)]
    struct Settler {
        _slot: Slot,
        settled: Arc<Mutex<Vec<Settlement>>>,
    }

    impl Settle for Settler {
        fn settle(self: Box<Self>, _message: &Message, settlement: Settlement) -> SettleFuture {
            lock(&self.settled).push(settlement);
            SettleFuture::done(Ok(()))
        }
    }

    struct Consumer {
        prefetch: Prefetch,
        sender: DeliverySender,
        stream: Option<DeliveryStream>,
        settled: Arc<Mutex<Vec<Settlement>>>,
        gate: Arc<SuspectGate>,
    }

    impl Consumer {
        fn new(limit: usize) -> Self {
            let gate = Arc::<SuspectGate>::default();
            let stopping = CancellationToken::new();
            let (prefetch, sender, stream) = delivery_channel(limit, Arc::clone(&gate), stopping);
            Self {
                prefetch,
                sender,
                stream: Some(stream),
                settled: Arc::default(),
                gate,
            }
        }

        async fn send(&self) {
            self.gate.begin_take().await.found(1);
            let settler = Settler {
                _slot: self.prefetch.slot(),
                settled: Arc::clone(&self.settled),
            };
            let message = Message::new("jobs", "a");
            self.sender.send(Delivery::new(message, Box::new(settler)));
        }

        async fn next(&mut self) -> Delivery {
            self.stream.as_mut().unwrap().next().await.unwrap()
        }

        fn available(&self) -> Option<Option<usize>> {
            self.prefetch.available().now_or_never()
        }
    }

    #[tokio::test]
    async fn a_settlement_frees_the_slot_of_its_message() {
        let mut consumer = Consumer::new(2);
        assert_eq!(consumer.available(), Some(Some(2)));
        consumer.send().await;
        assert_eq!(consumer.available(), Some(Some(1)));
        consumer.send().await;
        assert_eq!(consumer.available(), None, "it waits");
        let delivery = consumer.next().await;
        assert_eq!(
            consumer.available(),
            None,
            "a delivery that was read is in flight"
        );
        delivery.ack().await.unwrap();
        assert_eq!(consumer.available(), Some(Some(1)));
    }

    #[tokio::test]
    async fn a_delivery_that_is_dropped_frees_its_slot_and_is_returned() {
        let mut consumer = Consumer::new(1);
        consumer.send().await;
        drop(consumer.next().await);
        assert_eq!(consumer.available(), Some(Some(1)));
        assert!(matches!(lock(&consumer.settled)[..], [Settlement::Return]));
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_stops_the_consumer_and_returns_the_rest() {
        let mut consumer = Consumer::new(3);
        for _ in 0..3 {
            consumer.send().await;
        }
        let read = consumer.next().await;
        drop(consumer.stream.take());
        assert_eq!(consumer.available(), Some(None));
        assert_eq!(
            lock(&consumer.settled).len(),
            2,
            "the one that was read stays with its reader"
        );
        consumer.send().await;
        assert_eq!(
            lock(&consumer.settled).len(),
            3,
            "a late delivery is returned"
        );
        assert!(consumer.prefetch.all_free().now_or_never().is_none());
        read.ack().await.unwrap();
        assert!(consumer.prefetch.all_free().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_message_beyond_the_limit_adds_no_slot() {
        let mut consumer = Consumer::new(1);
        consumer.send().await;
        consumer.send().await;
        for _ in 0..2 {
            consumer.next().await.ack().await.unwrap();
        }
        assert_eq!(consumer.available(), Some(Some(1)));
    }

    #[tokio::test]
    async fn the_stream_ends_after_the_last_delivery_when_the_loop_ends() {
        let mut consumer = Consumer::new(1);
        consumer.send().await;
        let (sender, mut stream) = (consumer.sender, consumer.stream.take().unwrap());
        drop(sender);
        assert!(stream.next().await.is_some());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn the_gate_counts_the_messages_of_all_slots() {
        let mut consumer = Consumer::new(2);
        consumer.send().await;
        let gate = Arc::clone(&consumer.gate);
        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none(), "one is in flight");
        consumer.next().await.ack().await.unwrap();
        assert!(clear.now_or_never().flatten().is_some());
    }
}
