//! The local drivers keep the contracts, with the hub in another process and after its death in this one.

mod common;

use common::Hosted;
use microagent_core::Result;
use microagent_local::{LocalBroker, LocalBus};
use microagent_testing::{BrokerServer, BusServer, Cut, broker_suite, bus_suite};

#[test]
fn host() {
    common::host_if_told();
}

impl BusServer for Hosted {
    type Bus = LocalBus;

    async fn start() -> Result<Self> {
        Self::start()
    }

    async fn connect(&self) -> Result<LocalBus> {
        LocalBus::connect_apart(&self.options()?).await
    }

    async fn cut(&self) -> Result<Cut> {
        self.kill_host();
        Ok(Cut::Done)
    }
}

impl BrokerServer for Hosted {
    type Broker = LocalBroker;

    async fn start() -> Result<Self> {
        Self::start()
    }

    async fn connect(&self) -> Result<LocalBroker> {
        LocalBroker::connect_apart(&self.options()?).await
    }

    async fn crash(&self, connection: &LocalBroker) {
        connection.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        self.kill_host();
        Ok(Cut::Done)
    }
}

bus_suite!(Hosted);
broker_suite!(Hosted);
