//! Kafka: a private server, the driver on it, and the bare client on the same one.

mod consume;
mod send;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use microagent::prelude::*;
use microagent_testing::KafkaServer;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

pub(crate) use self::{
    consume::{consume, consume_beside_python},
    send::send,
};
use super::failed;

/// The topic of our side and of Python, and that of the side by hand.
const OURS: &str = "mailer";
const RAW: &str = "raw";

/// The longest time for one answer of the server.
const LIMIT: Duration = Duration::from_secs(30);

/// A server with the topics.
struct Bench {
    server: KafkaServer,
}

impl Bench {
    async fn start() -> Result<Self> {
        let bench = Self {
            server: KafkaServer::start().await?,
        };
        let admin: AdminClient<DefaultClientContext> = bench.client().create().map_err(failed)?;
        let topics = [OURS, RAW].map(|name| NewTopic::new(name, 1, TopicReplication::Fixed(1)));
        let limits = AdminOptions::new().operation_timeout(Some(LIMIT));
        let created = admin
            .create_topics(&topics, &limits)
            .await
            .map_err(failed)?;
        for created in created {
            created.map_err(|(topic, code)| Error::from(format!("`{topic}`: {code}")))?;
        }
        Ok(bench)
    }

    /// A broker in this group.
    async fn broker(&self, group: &str) -> Result<Broker> {
        let broker = Broker::connect(&format!("{}?group={group}", self.server.dsn())).await?;
        broker.ready().await?;
        Ok(broker)
    }

    /// The options of a bare client.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.server.address());
        config
    }

    /// A bare producer that confirms as the driver's does.
    fn producer(&self) -> Result<FutureProducer> {
        let mut config = self.client();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0");
        config.create().map_err(failed)
    }
}

/// Sends messages with an id, as MicroAgent does, and waits until all are confirmed, with so many in flight.
async fn publish(
    producer: &FutureProducer,
    topic: &str,
    count: u32,
    in_flight: usize,
    body: impl Fn() -> Result<Vec<u8>>,
) -> Result<()> {
    let published = stream::iter(0..count).map(async |number| {
        let body = body()?;
        let id = format!("{number:032x}");
        let id = Header {
            key: "x-microagent-id",
            value: Some(&id),
        };
        let record: FutureRecord<'_, (), _> = FutureRecord::to(topic)
            .payload(&body)
            .headers(OwnedHeaders::new().insert(id));
        let sent = producer.send(record, LIMIT).await;
        sent.map(drop).map_err(|(error, _)| failed(error))
    });
    published
        .buffer_unordered(in_flight)
        .try_for_each(async |()| Ok(()))
        .await
}
