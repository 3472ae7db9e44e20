//! A broker driver without optional capabilities, which rejects the options that it does not support: it passes the clauses.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent_core::{
    Caps, ConsumeOptions, Delivery, MemoryBroker, MemoryOptions, Queue, QueueBroker, Result, Route,
    SendOptions,
};
use microagent_testing::{BrokerServer, Cut, broker_suite};

pub(crate) struct BareServer(MemoryOptions);

impl BrokerServer for BareServer {
    type Broker = BareBroker;

    async fn start() -> Result<Self> {
        MemoryOptions::parse(&format!("memory://{:x}", fastrand::u128(..))).map(Self)
    }

    async fn connect(&self) -> Result<BareBroker> {
        Ok(BareBroker(MemoryBroker::open(&self.0)))
    }

    async fn crash(&self, connection: &BareBroker) {
        connection.0.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        Ok(Cut::NoConnection)
    }
}

#[derive(Debug)]
pub(crate) struct BareBroker(MemoryBroker);

#[async_trait]
impl QueueBroker for BareBroker {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        let caps = self.caps();
        caps.check_send("bare", to, payload.len(), &options)?;
        self.0.send(to, payload, options).await
    }

    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        self.0.consume(queue, options).await
    }

    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.0.length(queue).await
    }

    async fn declare(&self, queue: &Queue) -> Result<()> {
        self.0.declare(queue).await
    }

    fn caps(&self) -> Caps {
        let mut caps = Caps::default();
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
