//! A driver over the public API alone, as others write one: `archive` keeps messages in a folder of `local:`, and joins all suites.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use microagent::{
    Delivery, Queue, Result,
    driver::{
        BusEvent, Caps, ConsumeOptions, DeclareOptions, QueueBroker, Route, SendOptions, SignalBus,
        SubscriberCount,
    },
};
use microagent_local::{Host, LocalBroker, LocalBus, LocalOptions};
use microagent_testing::failure_suite::{
    FailureServer, Journal, Process, Program, Record, SOON, follow_test, tell, work,
};
use tempfile::TempDir;

#[derive(Debug)]
struct Archive<D>(D);

fn options(folder: &str) -> Result<LocalOptions> {
    LocalOptions::parse(&format!("local:{folder}"))
}

#[async_trait]
impl SignalBus for Archive<LocalBus> {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.0.publish(channel, payload).await
    }
    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        self.0.subscribe(pattern).await
    }
    async fn ready(&self) -> Result<()> {
        self.0.ready().await
    }
    fn address(&self) -> String {
        self.0.address().replacen("local:", "archive:", 1)
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

#[async_trait]
impl QueueBroker for Archive<LocalBroker> {
    async fn send(&self, to: &Route, payload: Bytes, options: SendOptions) -> Result<()> {
        self.caps()
            .check_send("archive", to, payload.len(), &options)?;
        self.0.send(to, payload, options).await
    }
    async fn consume(
        &self,
        queue: &Queue,
        options: ConsumeOptions,
    ) -> Result<BoxStream<'static, Delivery>> {
        options.refuse_native("archive")?;
        self.0.consume(queue, options).await
    }
    async fn length(&self, queue: &Queue) -> Result<u64> {
        self.0.length(queue).await
    }
    async fn declare(&self, queue: &Queue, options: &DeclareOptions) -> Result<()> {
        self.0.declare(queue, options).await
    }
    fn caps(&self) -> Caps {
        let mut caps = Caps::default(); // what is not named here is refused: leases, looks at messages, …
        (caps.creates, caps.headers, caps.durable, caps.shared) = (true, true, true, true);
        caps.max_payload = 1024 * 1024;
        caps
    }
    async fn ready(&self) -> Result<()> {
        self.0.ready().await
    }
    fn address(&self) -> String {
        self.0.address().replacen("local:", "archive:", 1)
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

/// The server of the tests: a folder, and the process that serves it.
struct Server {
    folder: TempDir,
    process: Mutex<Option<Process>>,
}

impl FailureServer for Server {
    type Bus = Archive<LocalBus>;
    type Broker = Archive<LocalBroker>;

    async fn start(program: Program) -> Result<Self> {
        let (folder, journal) = (tempfile::tempdir()?, Journal::default());
        let command = program.command("serve", &folder.path().display().to_string());
        let process = Mutex::new(Some(Process::start(command, &journal)));
        let serves = |record: &Record| record.says("serves") == 1;
        journal.until("the server", SOON, serves).await;
        Ok(Self { folder, process })
    }
    fn address(&self) -> String {
        self.folder.path().display().to_string()
    }
    async fn bus(address: &str) -> Result<Self::Bus> {
        LocalBus::connect_apart(&options(address)?)
            .await
            .map(Archive)
    }
    async fn broker(address: &str) -> Result<Self::Broker> {
        LocalBroker::connect_apart(&options(address)?)
            .await
            .map(Archive)
    }
    fn crash(broker: &Self::Broker) {
        broker.0.crash();
    }
    async fn kill(&self) -> Result<()> {
        drop(self.process.lock().unwrap().take());
        Ok(())
    }
    async fn restart(&self) -> Result<()> {
        Self::bus(&self.address()).await.map(drop) // whoever is connected serves by now
    }
    async fn cut(&self) -> Result<()> {
        self.kill().await
    }
    fn stall(&self) {
        let _ = self.process.lock().unwrap().as_ref().map(Process::stop);
    }
    fn resume(&self) {
        let _ = self.process.lock().unwrap().as_ref().map(Process::resume);
    }
    async fn play(part: &str, address: &str) -> Result<()> {
        if part != "serve" {
            return work::<Self>(part, address).await;
        }
        let _host = Host::start(&options(address)?).await?;
        tell("serves");
        follow_test()
            .changed()
            .await
            .map_err(|_| "the test has ended".into())
    }
}

microagent_testing::all_suites!(Server);
