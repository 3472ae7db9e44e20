//! The bus keeps its contract on a real server.

use microagent_core::Result;
use microagent_redis::{RedisBus, RedisOptions};
use microagent_testing::{BusServer, RedisServer, bus_suite};

struct Redis(RedisServer);

impl BusServer for Redis {
    type Bus = RedisBus;

    async fn start() -> Result<Self> {
        RedisServer::start().await.map(Self)
    }

    async fn connect(&self) -> Result<RedisBus> {
        RedisBus::connect(&RedisOptions::parse(&self.0.dsn())?).await
    }

    async fn cut(&self) -> bool {
        self.0.cut().await.is_ok()
    }
}

bus_suite!(Redis);
