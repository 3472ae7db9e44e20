//! The server of the failure suite: a private Redis.

use microagent_core::Result;
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::{
    RedisServer,
    failure_suite::{self, FailureServer, Program},
};

use crate::{bench::LEASE, worker};

pub(crate) struct Redis(RedisServer);

impl FailureServer for Redis {
    type Bus = RedisBus;
    type Broker = RedisBroker;

    async fn start(_program: Program) -> Result<Self> {
        RedisServer::start().await.map(Self)
    }

    fn address(&self) -> String {
        self.0.dsn()
    }

    async fn bus(address: &str) -> Result<RedisBus> {
        RedisBus::connect(&RedisOptions::parse(address)?).await
    }

    async fn broker(address: &str) -> Result<RedisBroker> {
        RedisBroker::connect_with_lease(&RedisOptions::parse(address)?, LEASE).await
    }

    fn crash(broker: &RedisBroker) {
        broker.crash();
    }

    async fn kill(&self) -> Result<()> {
        self.0.kill();
        Ok(())
    }

    async fn restart(&self) -> Result<()> {
        self.0.restart().await
    }

    async fn cut(&self) -> Result<()> {
        self.0.cut().await
    }

    fn stall(&self) {
        self.0.freeze();
    }

    fn resume(&self) {
        self.0.thaw();
    }

    async fn play(part: &str, address: &str) -> Result<()> {
        match part.strip_prefix(worker::PART) {
            Some(options) => worker::work(address, options).await,
            None => failure_suite::work::<Self>(part, address).await,
        }
    }
}
