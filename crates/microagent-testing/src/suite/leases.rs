//! The clauses about leases, which buses and brokers have alike.

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use microagent_core::{Lease, Leases};

use super::{EventLimit, QUIET, eventually, unique};

const MINUTE: Duration = Duration::from_secs(60);

/// The leases of a server, over two connections.
#[derive(Clone, Copy)]
pub(crate) struct Connections<'a> {
    pub(crate) here: &'a dyn Leases,
    pub(crate) there: &'a dyn Leases,
}

impl Connections<'_> {
    pub(crate) async fn one_of_two_holders_gets_the_key(self) {
        let key = unique("key");
        assert_eq!(ask(self.here, &key, "one", MINUTE).await, Lease::Granted);
        match ask(self.there, &key, "two", MINUTE).await {
            Lease::Held { left } => assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?} left"),
            Lease::Granted => panic!("the key is held"),
        }
        let other = unique("key");
        assert_eq!(ask(self.there, &other, "two", MINUTE).await, Lease::Granted);
    }

    pub(crate) async fn a_holder_prolongs(self) {
        let key = unique("key");
        assert_eq!(ask(self.here, &key, "one", QUIET).await, Lease::Granted);
        assert_eq!(ask(self.there, &key, "one", MINUTE).await, Lease::Granted);
        tokio::time::sleep(QUIET + QUIET).await;
        let asked = ask(self.there, &key, "two", MINUTE).await;
        assert!(matches!(asked, Lease::Held { .. }), "{asked:?}");
    }

    /// Closes the first connection after it has taken the key.
    pub(crate) async fn a_lease_ends_by_its_time(
        self,
        limit: EventLimit,
        close: impl Future<Output = ()>,
    ) {
        let key = unique("key");
        assert_eq!(ask(self.here, &key, "one", 2 * QUIET).await, Lease::Granted);
        close.await;
        let asked = ask(self.there, &key, "two", MINUTE).await;
        assert!(matches!(asked, Lease::Held { .. }), "{asked:?}");
        let asks = || ask(self.there, &key, "two", MINUTE);
        eventually(limit, "the lease", Lease::Granted, asks).await;
    }

    pub(crate) async fn one_of_many_gets_the_key(self) {
        for round in 0..20 {
            let key = unique("key");
            let holders: Vec<_> = (0..8).map(|n| format!("holder {n}")).collect();
            let asked = holders.iter().enumerate().map(|(n, holder)| {
                let leases = if n % 2 == 0 { self.here } else { self.there };
                ask(leases, &key, holder, MINUTE)
            });
            let answers = join_all(asked).await;
            let granted = answers.iter().filter(|lease| **lease == Lease::Granted);
            assert_eq!(granted.count(), 1, "round {round}: {answers:?}");
        }
    }
}

async fn ask(leases: &dyn Leases, key: &str, holder: &str, ttl: Duration) -> Lease {
    let asked = leases.lease(key, holder, ttl).await;
    asked.expect("an answer about the lease")
}
