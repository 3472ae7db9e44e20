//! The leases of a Redis bus tell the replicas of a schedule apart if the broker has none.

#![expect(clippy::unwrap_used, reason = "a failed expectation ends the test")]

use std::{future::ready, sync::Arc, time::Duration};

use microagent_core::{
    Agent, Blueprint, Bus, Caps, Context, CronOptions, Error, Lease, Leases, MicroAgent, Once,
    Result,
};
use microagent_redis::{RedisBus, RedisOptions};
use microagent_testing::{BrokerMock, RedisServer, VirtualClock, needs};
use tokio::{sync::mpsc, time::timeout};

needs! {
    redis {
        multi_thread async fn the_bus_tells_replicas_apart_if_the_broker_has_no_leases,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// The time within which the other replicas would run, too.
const QUIET: Duration = Duration::from_secs(2);

/// One replica, which reports its runs.
struct Billing {
    replica: usize,
    runs: mpsc::UnboundedSender<usize>,
}

impl MicroAgent for Billing {
    const NAME: &'static str = "Billing";

    fn blueprint() -> Blueprint<Self> {
        let once = CronOptions::at("* * * * *").once(Once::default());
        Blueprint::new().cron("invoice", once, |billing: &Arc<Self>, _cx: &Context| {
            // The test may have ended.
            let _ = billing.runs.send(billing.replica);
            Box::pin(ready(Ok(())))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Err(Error::from("the test creates the replicas"))
    }
}

async fn the_bus_tells_replicas_apart_if_the_broker_has_no_leases() {
    let server = RedisServer::start().await.unwrap();
    let options = RedisOptions::parse(&server.dsn()).unwrap();
    let (runs, mut reported) = mpsc::unbounded_channel();
    let mut replicas = Vec::new();
    for replica in 0..3 {
        let bus = RedisBus::connect(&options).await.unwrap();
        let broker = BrokerMock::with_caps(Caps::default());
        let runs = runs.clone();
        let agent = Agent::new(Billing { replica, runs })
            .clock(VirtualClock::at("2026-03-01T00:00:58Z").unwrap())
            .bus(Bus::new(Arc::new(bus)))
            .broker(broker.broker());
        replicas.push(agent.start().await.unwrap());
    }
    let first = timeout(MINUTE, reported.recv()).await.unwrap();
    assert!(first.is_some());
    let second = timeout(QUIET, reported.recv()).await;
    assert!(second.is_err(), "two replicas have run: {second:?}");

    // 2026-03-01T00:01:00Z, in seconds since the Unix epoch.
    let key = "Billing.invoice@1772323260";
    let bus = RedisBus::connect(&options).await.unwrap();
    let lease = bus.lease(key, "a fourth replica", MINUTE).await.unwrap();
    assert!(matches!(lease, Lease::Held { .. }), "{lease:?}");
    for replica in replicas {
        replica.stop().await.unwrap();
    }
}
