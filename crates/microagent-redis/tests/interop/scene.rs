//! A server, a Rust side connected to it, and a Python side where a test wants one.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use microagent_core::{Agent, Broker, BrokerOptions, Bus, BusOptions, RunningAgent};
use microagent_redis::{RedisBroker, RedisBus, RedisOptions};
use microagent_testing::{RedisServer, python_interpreter};

use crate::{
    peer::Peer,
    rust_agent::{DECLARATIONS, RustAgent},
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    server: RedisServer,
    python: PathBuf,
    pub(crate) bus: Bus,
    pub(crate) broker: Broker,
}

/// Starts a server and finds an interpreter that has the Python package.
pub(crate) async fn scene() -> Scene {
    let python = python_interpreter().unwrap_or_else(|error| panic!("no interpreter: {error}"));
    let server = RedisServer::start().await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let options = RedisOptions::parse(&server.dsn()).unwrap();
    let broker = Arc::new(RedisBroker::connect(&options).await.unwrap());
    let declared = BrokerOptions::default().declarations(DECLARATIONS.clone());
    Scene {
        bus: connect(&server).await,
        broker: Broker::with_options(broker, declared),
        server,
        python,
    }
}

async fn connect(server: &RedisServer) -> Bus {
    let options = RedisOptions::parse(&server.dsn()).unwrap();
    let bus = Arc::new(RedisBus::connect(&options).await.unwrap());
    let declared = BusOptions::default().declarations(DECLARATIONS.clone());
    Bus::with_options(bus, declared).unwrap()
}

impl Scene {
    /// Another process's bus.
    pub(crate) async fn connect(&self) -> Bus {
        connect(&self.server).await
    }

    pub(crate) async fn python(&self, roles: &str) -> Peer {
        Peer::start(&self.python, &self.server.dsn(), roles).await
    }

    pub(crate) async fn rust_agent(&self) -> RunningAgent<RustAgent> {
        let agent = Agent::new(RustAgent::default());
        let agent = agent.bus(self.bus.clone()).broker(self.broker.clone());
        agent.start().await.expect("an agent that lives")
    }

    /// Waits until the server knows so many patterns: Python says nothing when its subscriptions are live.
    pub(crate) async fn wait_for_patterns(&self, count: usize) {
        until("the subscriptions", async || {
            self.server.command(&["PUBSUB", "NUMPAT"]).await.unwrap() == count.to_string()
        })
        .await;
    }
}

/// Asks until it is so.
pub(crate) async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
