//! The broker keeps its contract on a real server.

use std::time::Duration;

use microagent_core::Result;
use microagent_redis::{RedisBroker, RedisOptions};
use microagent_testing::{BrokerServer, Cut, RedisServer, broker_suite};

const LEASE: Duration = Duration::from_secs(2);

struct Redis(RedisServer);

impl BrokerServer for Redis {
    type Broker = RedisBroker;

    const EVENT_LIMIT: Duration = Duration::from_secs(20);

    async fn start() -> Result<Self> {
        RedisServer::start().await.map(Self)
    }

    async fn connect(&self) -> Result<RedisBroker> {
        let options = RedisOptions::parse(&self.0.dsn())?;
        RedisBroker::connect_with_lease(&options, LEASE).await
    }

    async fn crash(&self, connection: &RedisBroker) {
        connection.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        self.0.cut().await.map(|()| Cut::Done)
    }
}

broker_suite!(service = redis, Redis);
