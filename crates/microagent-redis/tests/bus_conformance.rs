//! The bus keeps its contract on a real server.

use microagent_core::Result;
use microagent_redis::{RedisBus, RedisOptions};
use microagent_testing::{BusServer, Cut, RedisServer, bus_suite};

struct Redis(RedisServer);

impl BusServer for Redis {
    type Bus = RedisBus;

    async fn start() -> Result<Self> {
        RedisServer::start().await.map(Self)
    }

    async fn connect(&self) -> Result<RedisBus> {
        RedisBus::connect(&RedisOptions::parse(&self.0.dsn())?).await
    }

    async fn cut(&self) -> Result<Cut> {
        self.0.cut().await.map(|()| Cut::Done)
    }
}

bus_suite!(service = redis, Redis);
