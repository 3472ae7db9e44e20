//! Redis: a private server, the drivers on it, and the bare client on the same one.

mod consume;
mod rpc;
mod send;
mod signal;

use std::time::Duration;

use microagent::prelude::*;
use microagent_testing::RedisServer;
use redis::aio::MultiplexedConnection;

pub(crate) use self::{
    consume::{consume, consume_beside_python, consume_in_processes, consume_large, take_all},
    rpc::{rpc, rpc_of_many},
    send::{send, send_from_many},
    signal::signal,
};
use super::failed;

/// The list that the loops by hand consume.
pub(crate) const RAW: &str = "raw";

/// A server and a bare connection to it.
struct Bench {
    server: RedisServer,
    raw: MultiplexedConnection,
}

impl Bench {
    async fn start() -> Result<Self> {
        let server = RedisServer::start().await?;
        let mut raw = connection(&server.dsn()).await?;
        // The server logs each write, as a server of queues does. It does not rewrite its log meanwhile: that would hit one side by
        // chance.
        let mut rewrites = redis::cmd("CONFIG");
        let rewrites = rewrites
            .arg("SET")
            .arg("auto-aof-rewrite-percentage")
            .arg(0);
        let () = rewrites.query_async(&mut raw).await.map_err(failed)?;
        Ok(Self { server, raw })
    }

    async fn bus(&self) -> Result<Bus> {
        let bus = Bus::connect(&self.server.dsn()).await?;
        bus.ready().await?;
        Ok(bus)
    }

    async fn broker(&self) -> Result<Broker> {
        let broker = Broker::connect(&self.server.dsn()).await?;
        broker.ready().await?;
        Ok(broker)
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        connection(&self.server.dsn()).await
    }

    async fn pubsub(&self, pattern: &str) -> Result<redis::aio::PubSub> {
        let mut pubsub = client(&self.server.dsn())?
            .get_async_pubsub()
            .await
            .map_err(failed)?;
        pubsub.psubscribe(pattern).await.map_err(failed)?;
        Ok(pubsub)
    }
}

/// Opens a bare connection.
pub(crate) async fn connection(dsn: &str) -> Result<MultiplexedConnection> {
    let config =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let client = client(dsn)?;
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    connection.await.map_err(failed)
}

fn client(dsn: &str) -> Result<redis::Client> {
    let settings = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = redis::IntoConnectionInfo::into_connection_info(dsn).map_err(failed)?;
    redis::Client::open(info.set_tcp_settings(settings)).map_err(failed)
}
