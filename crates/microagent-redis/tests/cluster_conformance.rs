//! Bus and broker keep their contracts on a cluster. One node has all slots, and refuses as any other what crosses them.

use std::time::Duration;

use microagent_core::Result;
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::{BrokerServer, BusServer, Cut, RedisServer, broker_suite, bus_suite};

const LEASE: Duration = Duration::from_secs(2);

struct Cluster(RedisServer);

impl Cluster {
    async fn new() -> Result<Self> {
        RedisServer::start_cluster().await.map(Self)
    }

    fn options(&self) -> Result<RedisOptions> {
        RedisOptions::parse(&format!("redis+cluster://{}", self.0.address()))
    }
}

impl BusServer for Cluster {
    type Bus = RedisBus;

    async fn start() -> Result<Self> {
        Self::new().await
    }

    async fn connect(&self) -> Result<RedisBus> {
        RedisBus::connect(&self.options()?).await
    }

    async fn cut(&self) -> Result<Cut> {
        self.0.cut().await.map(|()| Cut::Done)
    }
}

impl BrokerServer for Cluster {
    type Broker = RedisBroker;

    const EVENT_LIMIT: Duration = Duration::from_secs(20);

    async fn start() -> Result<Self> {
        Self::new().await
    }

    async fn connect(&self) -> Result<RedisBroker> {
        RedisBroker::connect_with_lease(&self.options()?, LEASE).await
    }

    async fn crash(&self, connection: &RedisBroker) {
        connection.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        self.0.cut().await.map(|()| Cut::Done)
    }
}

bus_suite!(service = redis, Cluster);
broker_suite!(service = redis, Cluster);
