//! The broker keeps its contract on a real Kafka.

mod support;

use std::time::Duration;

use microagent_core::Result;
use microagent_kafka::KafkaBroker;
use microagent_testing::{BrokerServer, Cut, broker_suite};

use support::{connect, cut, shared};

struct Kafka;

impl BrokerServer for Kafka {
    type Broker = KafkaBroker;

    const EVENT_LIMIT: Duration = Duration::from_secs(120);

    const QUIET: Duration = Duration::from_secs(2);

    async fn start() -> Result<Self> {
        shared().await.map(|_| Self)
    }

    async fn connect(&self) -> Result<KafkaBroker> {
        connect(&shared().await?.dsn()).await
    }

    async fn crash(&self, connection: &KafkaBroker) {
        connection.crash().await;
    }

    async fn cut(&self) -> Result<Cut> {
        cut(&shared().await?.address())?;
        Ok(Cut::Done)
    }
}

broker_suite!(service = kafka, Kafka);
