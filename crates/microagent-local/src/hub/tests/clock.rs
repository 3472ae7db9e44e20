//! The wall clock is set, or the machine is suspended, while delays, retries and leases are stored.

use std::time::SystemTime;

use tokio::time::Instant;

use super::*;
use crate::clocks::Clocks;

const HOUR: u64 = 3600;

/// Clocks that a test can set. They follow tokio's time.
#[derive(Debug)]
pub(super) struct SetClocks {
    started: Instant,
    /// The wall-clock time at which nothing has elapsed.
    wall: Mutex<SystemTime>,
    suspended: Mutex<Duration>,
}

impl Default for SetClocks {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            wall: Mutex::new(SystemTime::now()),
            suspended: Mutex::default(),
        }
    }
}

impl Clocks for SetClocks {
    fn wall(&self) -> SystemTime {
        *self.wall.lock().unwrap() + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed() + *self.suspended.lock().unwrap()
    }
}

impl SetClocks {
    fn set_forward(&self, seconds: u64) {
        *self.wall.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn set_back(&self, seconds: u64) {
        *self.wall.lock().unwrap() -= Duration::from_secs(seconds);
    }

    fn suspend(&self, seconds: u64) {
        *self.suspended.lock().unwrap() += Duration::from_secs(seconds);
    }
}

/// A hub whose connections answer pings.
struct Waiting(Peer);

impl Waiting {
    async fn consuming(hub: &Hub) -> Self {
        let mut peer = Peer::join(hub, OTHER).await;
        peer.consume(1, "mailer", 8).await;
        Self(peer)
    }

    /// Returns how many seconds pass until the next delivery.
    async fn seconds_until_delivery(&mut self) -> u64 {
        let begun = Instant::now();
        loop {
            match timeout(Duration::from_secs(5), self.0.next()).await {
                Ok(HubFrame::Delivery { consumer: 1, .. }) => return begun.elapsed().as_secs(),
                Ok(HubFrame::Pong) => {}
                Ok(other) => panic!("unexpected: {other:?}"),
                Err(_) => self.0.say(ClientFrame::Ping).await,
            }
        }
    }
}

/// Leaves a message in the store that is retried in so many seconds.
async fn store_a_retry(store: &SharedStore, after: u64) {
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    peer.send("mailer", "a").await;
    peer.consume(1, "mailer", 1).await;
    let received = peer.delivery().await;
    let after = Duration::from_secs(after);
    peer.settle(&received, WireSettlement::Retry { after })
        .await
        .unwrap();
    hub.close().await.unwrap();
}

async fn lease(peer: &mut Peer, holder: &str, seconds: u64) -> u128 {
    let lease = Request::Lease {
        key: "report".into(),
        holder: holder.into(),
        ttl: Duration::from_secs(seconds),
    };
    peer.lease(lease)
        .await
        .unwrap_or_default()
        .as_millis()
        .div_ceil(1000)
}

#[tokio::test(start_paused = true)]
async fn a_stored_retry_runs_when_a_clock_that_was_behind_is_corrected() {
    let store = SharedStore::default();
    store_a_retry(&store, 10).await;
    store.clocks.set_back(HOUR);
    let hub = store.hub();
    let mut waiting = Waiting::consuming(&hub).await;
    waiting.0.hears_nothing_for(15).await;
    store.clocks.set_forward(HOUR);
    assert!(waiting.seconds_until_delivery().await <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_stored_retry_is_not_early_when_a_clock_that_was_ahead_is_corrected() {
    let store = SharedStore::default();
    store_a_retry(&store, HOUR + 60).await;
    store.clocks.set_forward(HOUR);
    let hub = store.hub();
    let mut waiting = Waiting::consuming(&hub).await;
    store.clocks.set_back(HOUR);
    let waited = waiting.seconds_until_delivery().await;
    assert!((HOUR + 59..=HOUR + 62).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_of_this_hub_takes_its_time_whatever_the_clock_does() {
    for forward in [true, false] {
        let store = SharedStore::default();
        let hub = store.hub();
        let mut waiting = Waiting::consuming(&hub).await;
        let sent = send("mailer", "a", Some(60));
        waiting.0.done(sent).await.unwrap();
        if forward {
            store.clocks.set_forward(HOUR);
        } else {
            store.clocks.set_back(HOUR);
        }
        let waited = waiting.seconds_until_delivery().await;
        assert!((59..=61).contains(&waited), "{waited}, forward: {forward}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_hub_knows_the_delays_of_this_one_by_the_corrected_clock() {
    for forward in [true, false] {
        let store = SharedStore::default();
        let hub = store.hub();
        let mut peer = Peer::join(&hub, OTHER).await;
        peer.done(send("mailer", "a", Some(60))).await.unwrap();
        assert_eq!(lease(&mut peer, "one", 100).await, 0);
        if forward {
            store.clocks.set_forward(HOUR);
        } else {
            store.clocks.set_back(HOUR);
        }
        peer.hears_nothing_for(2).await;
        hub.close().await.unwrap();

        let next = store.hub();
        let mut waiting = Waiting::consuming(&next).await;
        assert!((97..=98).contains(&lease(&mut waiting.0, "two", 1).await));
        let waited = waiting.seconds_until_delivery().await;
        assert!((57..=60).contains(&waited), "{waited}, forward: {forward}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_lease_follows_a_corrected_clock() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    assert_eq!(lease(&mut peer, "one", 60).await, 0);
    hub.close().await.unwrap();

    store.clocks.set_back(HOUR);
    let hub = store.hub();
    let mut peer = Peer::join(&hub, OTHER).await;
    assert!(lease(&mut peer, "two", 60).await > u128::from(HOUR));
    store.clocks.set_forward(HOUR);
    peer.hears_nothing_for(2).await;
    assert!((57..=60).contains(&lease(&mut peer, "two", 60).await));

    // A lease of this hub is not ended by a clock that is set forward.
    peer.hears_nothing_for(19).await;
    peer.say(ClientFrame::Ping).await;
    assert_eq!(peer.next().await, HubFrame::Pong);
    assert_eq!(lease(&mut peer, "one", 60).await, 0);
    store.clocks.set_forward(HOUR);
    peer.hears_nothing_for(2).await;
    assert!((57..=59).contains(&lease(&mut peer, "two", 60).await));
}

#[tokio::test(start_paused = true)]
async fn a_delay_counts_the_time_in_which_the_machine_is_suspended() {
    let store = SharedStore::default();
    let hub = store.hub();
    let mut waiting = Waiting::consuming(&hub).await;
    let sent = send("mailer", "a", Some(2 * HOUR));
    waiting.0.done(sent).await.unwrap();
    store.clocks.suspend(8 * HOUR);
    assert!(waiting.seconds_until_delivery().await <= 2);
}
