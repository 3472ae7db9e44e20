//! RabbitMQ: a private server, the driver on it, and the bare client on the same one.

mod consume;
mod send;

use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions},
    types::FieldTable,
};
use microagent::prelude::*;
use microagent_testing::RabbitMqServer;

pub(crate) use self::{
    consume::{consume, consume_beside_python},
    send::send,
};
use super::{agents::BODY, failed};

/// The queue of our side and of Python, and that of the side by hand.
const OURS: &str = "mailer";
const RAW: &str = "raw";

/// The number of messages that are sent and not confirmed yet.
const IN_FLIGHT: usize = 100;

/// A server and a bare connection to it.
struct Bench {
    server: RabbitMqServer,
    raw: Connection,
}

impl Bench {
    async fn start() -> Result<Self> {
        let server = RabbitMqServer::start().await?;
        // Its own reader takes a slash at the end for a virtual host without a name.
        let dsn = format!("{}%2F", server.dsn());
        let raw = Connection::connect(&dsn, ConnectionProperties::default());
        let raw = raw.await.map_err(failed)?;
        Ok(Self { server, raw })
    }

    async fn broker(&self, options: &str) -> Result<Broker> {
        let broker = Broker::connect(&format!("{}{options}", self.server.dsn())).await?;
        broker.ready().await?;
        Ok(broker)
    }

    /// A channel that confirms.
    async fn channel(&self) -> Result<Channel> {
        let channel = self.raw.create_channel().await.map_err(failed)?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        confirming.await.map_err(failed)?;
        Ok(channel)
    }

    /// An empty queue.
    async fn empty(&self, queue: &str, durable: bool) -> Result<()> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions {
            durable,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        declared.await.map_err(failed)?;
        let purged = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
        purged.await.map_err(failed).map(drop)
    }

    /// A durable queue with this many messages of MicroAgent.
    async fn fill(&self, queue: &str, count: u32) -> Result<()> {
        self.empty(queue, true).await?;
        let channel = self.channel().await?;
        publish(&channel, queue, count, of_microagent, || Ok(BODY.into())).await
    }

    /// A queue as the Python package declares it, with this many messages as it sends them.
    async fn fill_as_python(&self, queue: &str, count: u32) -> Result<()> {
        self.empty(queue, false).await?;
        let channel = self.channel().await?;
        let properties = |_| BasicProperties::default();
        publish(&channel, queue, count, properties, || Ok(BODY.into())).await
    }
}

/// Returns the properties of a message that MicroAgent sends.
fn of_microagent(number: u32) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(format!("{number:032x}").into())
}

/// Publishes messages that some queue must take, and waits until all are confirmed.
async fn publish(
    channel: &Channel,
    queue: &str,
    count: u32,
    properties: impl Fn(u32) -> BasicProperties,
    body: impl Fn() -> Result<Vec<u8>>,
) -> Result<()> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let published = stream::iter(0..count).map(async |number| {
        let body = body()?;
        let sent =
            channel.basic_publish("".into(), queue.into(), options, &body, properties(number));
        match sent.await.map_err(failed)?.await.map_err(failed)? {
            Confirmation::Ack(None) => Ok(()),
            other => Err(format!("not confirmed: {other:?}").into()),
        }
    });
    published
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(async |()| Ok(()))
        .await
}
