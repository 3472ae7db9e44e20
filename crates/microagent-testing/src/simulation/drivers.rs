//! The connections of one member: `memory://`, with injected faults.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    FutureExt,
    stream::{BoxStream, StreamExt},
};
use microagent_core::{
    BusEvent, Caps, ConsumeOptions, DeclareOptions, Delivery, Depth, Error, ErrorKind, Lease,
    Leases, MemoryBroker, MemoryBus, MemoryOptions, Message, Queue, QueueBroker, Result, Route,
    Selection, SendOptions, Settle, SettleFuture, Settlement, SignalBus, SubscriberCount,
    driver::ConnectionState,
};

use super::{faulty_stream::FaultyStream, simulated_run::SharedRun};

/// A member's connection to the bus.
#[derive(Debug)]
pub(super) struct FaultyBus {
    run: SharedRun,
    inner: MemoryBus,
}

impl FaultyBus {
    pub(super) fn open(run: &SharedRun, server: &MemoryOptions) -> Self {
        Self {
            run: SharedRun::clone(run),
            inner: MemoryBus::open(server),
        }
    }

    /// Ends the connection as the death of its process would.
    pub(super) fn crash(&self) {
        // The driver in memory does not wait.
        let closed = self.inner.close().now_or_never();
        debug_assert!(matches!(closed, Some(Ok(()))), "{closed:?}");
    }
}

#[async_trait]
impl SignalBus for FaultyBus {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.inner.publish(channel, payload).await
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        let events = self.inner.subscribe(pattern).await?;
        Ok(FaultyStream::new(&self.run, events).boxed())
    }

    async fn subscribed(&self, head: &str) -> Result<Vec<String>> {
        self.inner.subscribed(head).await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        self.inner.leases()
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// A member's connection to the broker.
#[derive(Debug)]
pub(super) struct FaultyBroker {
    run: SharedRun,
    inner: MemoryBroker,
}

impl FaultyBroker {
    pub(super) fn open(run: &SharedRun, server: &MemoryOptions) -> Self {
        Self {
            run: SharedRun::clone(run),
            inner: MemoryBroker::open(server),
        }
    }

    /// Ends the connection as the death of its process would.
    pub(super) fn crash(&self) {
        self.inner.crash();
    }
}

#[async_trait]
impl QueueBroker for FaultyBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.inner.send(to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        let deliveries = self.inner.consume(queue, options).await?;
        let run = SharedRun::clone(&self.run);
        let deliveries = FaultyStream::new(&self.run, deliveries);
        Ok(deliveries
            .map(move |delivery| with_lost_acknowledgements(&run, delivery))
            .boxed())
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.inner.length(queue).await
    }

    async fn depth(&self, queue: &Queue) -> Result<Depth> {
        self.inner.depth(queue).await
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.inner.declare(queue, options).await
    }

    async fn peek(&self, queue: &Queue, limit: usize) -> Result<Vec<Message>> {
        self.inner.peek(queue, limit).await
    }

    async fn requeue(&self, from: &Queue, to: &Queue, which: &Selection) -> Result<u64> {
        self.inner.requeue(from, to, which).await
    }

    async fn purge(&self, queue: &Queue, which: &Selection) -> Result<u64> {
        self.inner.purge(queue, which).await
    }

    async fn release(&self, queue: &Queue) -> Result<u64> {
        self.inner.release(queue).await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn connection(&self) -> Option<ConnectionState> {
        self.inner.connection()
    }

    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[async_trait]
impl Leases for FaultyBroker {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        self.inner.lease(key, holder, ttl).await
    }
}

fn with_lost_acknowledgements(run: &SharedRun, delivery: Delivery) -> Delivery {
    let message = delivery.message().clone();
    let settler = Settler {
        run: SharedRun::clone(run),
        inner: delivery,
    };
    Delivery::new(message, Box::new(settler))
}

/// Settles a delivery, unless the acknowledgement is lost.
struct Settler {
    run: SharedRun,
    inner: Delivery,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        if settlement != Settlement::Ack || !self.run.happens(|faults| faults.duplicate) {
            return self.inner.settle(settlement);
        }
        self.run.note(format_args!(
            "an acknowledgement of `{}` is lost",
            message.queue()
        ));
        drop(self.inner.settle(Settlement::Return));
        let text = "the connection ended before the settlement was confirmed";
        SettleFuture::done(Err(Error::new(ErrorKind::Unavailable, text)))
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
