//! Brokers whose leases cannot be had: for a while, or at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent::{
    ErrorKind,
    driver::{
        Caps, ConsumeOptions, DeclareOptions, Lease, Leases, MemoryBroker, QueueBroker, Route,
        SendOptions,
    },
    prelude::*,
};

const HERE: u8 = 0;
const AWAY: u8 = 1;
const HANGING: u8 = 2;

/// A `memory://` broker whose leases can be away.
#[derive(Clone, Debug, Default)]
pub(super) struct Leasing(Arc<Parts>);

#[derive(Debug, Default)]
struct Parts {
    inner: MemoryBroker,
    state: AtomicU8,
    bare: bool,
}

impl Leasing {
    pub(super) fn broker(&self) -> Broker {
        Broker::new(Arc::new(self.clone()))
    }

    pub(super) fn go_away(&self) {
        self.0.state.store(AWAY, Ordering::Relaxed);
    }

    pub(super) fn come_back(&self) {
        self.0.state.store(HERE, Ordering::Relaxed);
    }

    pub(super) fn hang(&self) {
        self.0.state.store(HANGING, Ordering::Relaxed);
    }
}

/// A broker of a driver that knows nothing of leases.
pub(super) fn without_leases() -> Broker {
    let parts = Parts {
        bare: true,
        ..Parts::default()
    };
    Broker::new(Arc::new(Leasing(Arc::new(parts))))
}

#[async_trait]
impl QueueBroker for Leasing {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.0.inner.send(to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.0.inner.consume(queue, options).await
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.0.inner.length(queue).await
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.0.inner.declare(queue, options).await
    }

    fn leases(&self) -> Option<&dyn Leases> {
        (!self.0.bare).then_some(self)
    }

    fn caps(&self) -> Caps {
        let mut caps = self.0.inner.caps();
        caps.leases = !self.0.bare;
        caps
    }

    async fn ready(&self) -> Result<()> {
        self.0.inner.ready().await
    }

    fn address(&self) -> String {
        if self.0.bare { "bare://" } else { "leasing://" }.to_owned()
    }

    async fn close(&self) -> Result<()> {
        self.0.inner.close().await
    }
}

#[async_trait]
impl Leases for Leasing {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        match self.0.state.load(Ordering::Relaxed) {
            AWAY => Err(Error::new(ErrorKind::Unavailable, "the server is away")),
            HANGING => std::future::pending().await,
            _ => self.0.inner.lease(key, holder, ttl).await,
        }
    }
}
