//! The leases of a `memory://` server: the holder of each key, and the lease's end by tokio's clock.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::{Lease, driver::lock};

/// All leases of a server.
#[derive(Debug, Default)]
pub(super) struct HeldLeases(Mutex<HashMap<String, Held>>);

#[derive(Debug)]
struct Held {
    by: String,
    /// The end of the lease. `None` if it is later than the clock can count: the lease is held indefinitely.
    until: Option<Instant>,
}

impl Held {
    fn left(&self, now: Instant) -> Duration {
        self.until
            .map_or(Duration::MAX, |until| until.duration_since(now))
    }
}

impl HeldLeases {
    pub(super) fn ask(&self, key: &str, holder: &str, ttl: Duration) -> Lease {
        let now = Instant::now();
        let mut leases = lock(&self.0);
        leases.retain(|_, held| !held.left(now).is_zero());
        if let Some(held) = leases.get(key).filter(|held| held.by != holder) {
            let left = held.left(now);
            return Lease::Held { left };
        }
        let held = Held {
            by: holder.to_owned(),
            until: now.checked_add(ttl),
        };
        leases.insert(key.to_owned(), held);
        Lease::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_prolonged_by_its_holder_and_ends_by_itself() {
        let leases = HeldLeases::default();
        assert_eq!(leases.ask("job", "one", MINUTE), Lease::Granted);
        tokio::time::advance(MINUTE / 2).await;
        let left = MINUTE / 2;
        assert_eq!(leases.ask("job", "two", MINUTE), Lease::Held { left });
        assert_eq!(leases.ask("job", "one", MINUTE), Lease::Granted);
        tokio::time::advance(MINUTE).await;
        assert_eq!(leases.ask("job", "two", MINUTE), Lease::Granted);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_longer_than_the_clock_is_held_for_ever() {
        let leases = HeldLeases::default();
        leases.ask("job", "one", Duration::MAX);
        tokio::time::advance(1000 * MINUTE).await;
        let left = Duration::MAX;
        assert_eq!(leases.ask("job", "two", MINUTE), Lease::Held { left });
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_apart_and_ended_leases_are_forgotten() {
        let leases = HeldLeases::default();
        for key in 0..100 {
            assert_eq!(leases.ask(&key.to_string(), "one", MINUTE), Lease::Granted);
        }
        tokio::time::advance(MINUTE).await;
        assert_eq!(leases.ask("job", "two", MINUTE), Lease::Granted);
        assert_eq!(lock(&leases.0).len(), 1);
    }
}
