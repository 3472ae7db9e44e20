//! The broker keeps its contract on a real RabbitMQ.

mod support;

use std::time::Duration;

use microagent_amqp::AmqpBroker;
use microagent_core::Result;
use microagent_testing::{BrokerServer, Cut, broker_suite};

use support::{Proxy, connect, shared};

/// The shared server, behind a proxy of the clause's own.
struct RabbitMq(Proxy);

impl BrokerServer for RabbitMq {
    type Broker = AmqpBroker;

    const EVENT_LIMIT: Duration = Duration::from_secs(20);

    async fn start() -> Result<Self> {
        Proxy::start(&shared().await?.address()).await.map(Self)
    }

    async fn connect(&self) -> Result<AmqpBroker> {
        connect(&self.0.dsn()).await
    }

    async fn crash(&self, connection: &AmqpBroker) {
        connection.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        self.0.cut();
        Ok(Cut::Done)
    }
}

broker_suite!(service = rabbitmq, RabbitMq);
