//! Replicas of one schedule, whose hub changes between the claim of the first and the question of the others.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use microagent_core::{
    Agent, Blueprint, Broker, Caps, ConsumeOptions, Context, CronOptions, DeclareOptions, Delivery,
    Lease, Leases, MicroAgent, Once, Queue, QueueBroker, Route, SendOptions,
};
use microagent_testing::VirtualClock;
use tokio::time::{Instant, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTES: u32 = 30;

/// The clocks of the replicas; they ask one second after the other.
const CLOCKS: [&str; 3] = [
    "2026-03-01T00:00:30Z",
    "2026-03-01T00:00:29Z",
    "2026-03-01T00:00:28Z",
];

/// The hub that is there now.
#[derive(Clone, Debug)]
struct Folder(Arc<Mutex<Hub>>);

impl Folder {
    fn hub(&self) -> Hub {
        self.0.lock().unwrap().clone()
    }

    /// Another one takes over, of which the old one knows nothing: its process is dead.
    fn change(&self, store: &SharedStore) {
        *self.0.lock().unwrap() = store.hub();
    }
}

/// Asks for leases, each over a connection of its own.
#[derive(Clone, Debug)]
struct LeaseClient(Folder);

#[async_trait]
impl QueueBroker for LeaseClient {
    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }

    fn caps(&self) -> Caps {
        let mut caps = Caps::default();
        caps.leases = true;
        caps
    }

    async fn send(&self, _: &Route, _: Bytes, _: SendOptions) -> Result<()> {
        Err(not_asked_for())
    }

    async fn consume(&self, _: &Queue, _: ConsumeOptions) -> Result<BoxStream<'static, Delivery>> {
        Ok(Box::pin(stream::pending()))
    }

    async fn length(&self, _: &Queue) -> Result<u64> {
        Err(not_asked_for())
    }

    async fn declare(&self, _: &Queue, _: &DeclareOptions) -> Result<()> {
        Err(not_asked_for())
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    fn address(&self) -> String {
        "leases of a hub".to_owned()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Leases for LeaseClient {
    async fn lease(&self, key: &str, holder: &str, ttl: Duration) -> Result<Lease> {
        let mut peer = Peer::join(&self.0.hub(), OTHER).await;
        let lease = Request::Lease {
            key: key.into(),
            holder: holder.into(),
            ttl,
        };
        Ok(match peer.lease(lease).await {
            None => Lease::Granted,
            Some(left) => Lease::Held { left },
        })
    }
}

fn not_asked_for() -> Error {
    Error::new(ErrorKind::Unsupported, "schedules ask for leases only")
}

/// One replica.
struct Billing {
    replica: usize,
    runs: Arc<Mutex<Vec<(usize, Instant)>>>,
}

impl MicroAgent for Billing {
    const NAME: &'static str = "Billing";

    fn blueprint() -> Blueprint<Self> {
        let every_minute = CronOptions::at("* * * * *").once(Once::default());
        Blueprint::new().cron(
            "invoice",
            every_minute,
            |billing: &Arc<Self>, _cx: &Context| {
                let run = (billing.replica, Instant::now());
                billing.runs.lock().unwrap().push(run);
                Box::pin(async { Ok(()) })
            },
        )
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Err(not_asked_for())
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_claimed_at_one_hub_is_not_another_replicas_at_the_next() {
    let (store, runs) = (SharedStore::default(), Arc::<Mutex<Vec<_>>>::default());
    let folder = Folder(Arc::new(Mutex::new(store.hub())));
    let (begun, mut replicas) = (Instant::now(), Vec::new());
    for (replica, clock) in CLOCKS.into_iter().enumerate() {
        let runs = runs.clone();
        let agent = Agent::new(Billing { replica, runs }).clock(VirtualClock::at(clock).unwrap());
        let broker = Broker::new(Arc::new(LeaseClient(folder.clone())));
        replicas.push(agent.broker(broker).start().await.unwrap());
    }
    // Half a second after each replica has asked, at the first one's minute and two seconds on.
    sleep(30 * SECOND + SECOND / 2).await;
    for _ in 0..MINUTES {
        for _ in 0..2 {
            folder.change(&store);
            sleep(SECOND).await;
        }
        sleep(58 * SECOND).await;
    }
    for replica in replicas {
        replica.stop().await.unwrap();
    }
    let runs = runs.lock().unwrap();
    assert_eq!(runs.len(), MINUTES as usize + 1, "one run at each instant");
    for (minute, (replica, at)) in (0..).zip(runs.iter()) {
        let instant = begun + 30 * SECOND + minute * 60 * SECOND;
        let off = at.duration_since(instant);
        assert!(
            *replica == 0 && off < SECOND,
            "replica {replica}, {off:?} late"
        );
    }
}
