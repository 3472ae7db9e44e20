//! A broker driver without optional capabilities, which rejects the options that it does not support: it passes the clauses.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    Caps, ConsumeOptions, DeclareOptions, Delivery, LengthCounts, MemoryBroker, MemoryOptions,
    Queue, QueueBroker, Result, Route, SendOptions, driver::lock,
};
use microagent_testing::{BrokerServer, Cut, broker_suite};

pub(crate) struct BareServer {
    options: MemoryOptions,
    declared: Declared,
}

/// The queues that exist.
type Declared = Arc<Mutex<HashSet<String>>>;

impl BrokerServer for BareServer {
    type Broker = BareBroker;

    async fn start() -> Result<Self> {
        let options = MemoryOptions::parse(&format!("memory://{:x}", fastrand::u128(..)))?;
        let declared = Declared::default();
        Ok(Self { options, declared })
    }

    async fn connect(&self) -> Result<BareBroker> {
        Ok(BareBroker(
            MemoryBroker::open(&self.options),
            Arc::clone(&self.declared),
        ))
    }

    async fn crash(&self, connection: &BareBroker) {
        connection.0.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        Ok(Cut::NoConnection)
    }
}

#[derive(Debug)]
pub(crate) struct BareBroker(MemoryBroker, Declared);

impl BareBroker {
    fn declared(&self) -> MutexGuard<'_, HashSet<String>> {
        lock(&self.1)
    }
}

#[async_trait]
impl QueueBroker for BareBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        let caps = self.caps();
        caps.check_send("bare", to, payload.len(), &options)?;
        if !self.declared().contains(to.queue.name()) {
            self.0.ready().await?;
            return Err(to.unroutable());
        }
        self.0.send(to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.declared().insert(queue.name().to_owned());
        self.0.consume(queue, options).await
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        let depth = self.0.depth(queue).await?;
        let counts = [depth.waiting, depth.in_flight, depth.delayed];
        Ok(counts.into_iter().flatten().sum())
    }

    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.0.declare(queue, options).await?;
        self.declared().insert(queue.name().to_owned());
        Ok(())
    }

    fn caps(&self) -> Caps {
        let mut caps = Caps::default();
        caps.length = LengthCounts::Unsettled;
        caps.max_payload = self.0.caps().max_payload;
        caps
    }

    async fn ready(&self) -> Result<()> {
        self.0.ready().await
    }

    fn address(&self) -> String {
        self.0.address()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

broker_suite!(paused, BareServer);
