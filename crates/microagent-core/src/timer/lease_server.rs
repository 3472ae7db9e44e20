//! The server whose leases tell the replicas of a schedule apart: that of the broker, or else that of the bus.

use std::{fmt, time::Duration};

use crate::{Broker, Bus, Error, ErrorKind, Lease, Leases, Result};

/// A bus or a broker that has leases.
#[derive(Clone)]
pub(super) enum LeaseServer {
    Broker(Broker),
    Bus(Bus),
}

impl LeaseServer {
    /// Returns the broker if it has leases, or else the bus if it has. All replicas choose alike, because they have the
    /// same kinds of servers.
    pub(super) fn of(bus: Option<&Bus>, broker: Option<&Broker>) -> Option<Self> {
        let broker = broker.cloned().map(Self::Broker);
        let bus = bus.cloned().map(Self::Bus);
        let mut servers = [broker, bus].into_iter().flatten();
        servers.find(|server| server.leases().is_some())
    }

    fn leases(&self) -> Option<&dyn Leases> {
        match self {
            Self::Broker(broker) => broker.driver().leases(),
            Self::Bus(bus) => bus.driver().leases(),
        }
    }

    pub(super) async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let Some(leases) = self.leases() else {
            let text = format!("leases are not supported by `{self}`");
            return Err(Error::new(ErrorKind::Unsupported, text));
        };
        leases.lease(key, holder, ttl).await
    }
}

impl fmt::Display for LeaseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(broker) => broker.fmt(f),
            Self::Bus(bus) => f.write_str(&bus.driver().address()),
        }
    }
}
