//! The memory drivers keep the contracts: in virtual time, and in real time on several threads.

use microagent_core::{MemoryBroker, MemoryBus, MemoryOptions, Result};
use microagent_testing::{BrokerServer, BusServer, Cut, broker_suite, bus_suite};

struct Memory(MemoryOptions);

fn memory() -> Result<Memory> {
    MemoryOptions::parse(&format!("memory://{:x}", fastrand::u128(..))).map(Memory)
}

impl BusServer for Memory {
    type Bus = MemoryBus;

    async fn start() -> Result<Self> {
        memory()
    }

    async fn connect(&self) -> Result<MemoryBus> {
        Ok(MemoryBus::open(&self.0))
    }

    async fn cut(&self) -> Result<Cut> {
        Ok(Cut::NoConnection)
    }
}

impl BrokerServer for Memory {
    type Broker = MemoryBroker;

    async fn start() -> Result<Self> {
        memory()
    }

    async fn connect(&self) -> Result<MemoryBroker> {
        Ok(MemoryBroker::open(&self.0))
    }

    async fn crash(&self, connection: &MemoryBroker) {
        connection.crash();
    }

    async fn cut(&self) -> Result<Cut> {
        Ok(Cut::NoConnection)
    }
}

bus_suite!(paused, Memory);
broker_suite!(paused, Memory);

mod in_real_time {
    use super::{Memory, broker_suite, bus_suite};

    bus_suite!(Memory);
    broker_suite!(Memory);
}
