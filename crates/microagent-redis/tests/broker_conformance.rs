//! The broker keeps its contract on a real server.

use std::time::Duration;

use microagent_core::Result;
use microagent_redis::{RedisBroker, RedisOptions};
use microagent_testing::{BrokerServer, RedisServer, broker_suite};

struct Redis(RedisServer);

impl BrokerServer for Redis {
    type Broker = RedisBroker;

    /// A lease and two sweeps, several times.
    const PATIENCE: Duration = Duration::from_secs(40);

    async fn start() -> Result<Self> {
        RedisServer::start().await.map(Self)
    }

    async fn connect(&self) -> Result<RedisBroker> {
        RedisBroker::connect(&RedisOptions::parse(&self.0.dsn())?).await
    }

    async fn crash(&self, connection: &RedisBroker) -> bool {
        connection.crash();
        true
    }

    async fn cut(&self) -> bool {
        self.0.cut().await.is_ok()
    }
}

broker_suite!(Redis);
