//! Leases: a key has one holder at a time, until its expiry. Without the capability the driver rejects each request.

use std::time::Duration;

use futures_util::future::join_all;
use microagent_core::{Lease, QueueBroker};

use super::{
    BrokerServer,
    fixture::{Connection, Fixture, unsupported},
};
use crate::suite::{QUIET, eventually, unique};

const MINUTE: Duration = Duration::from_secs(60);

/// One of two connections gets the key, and the other learns for how long; or the driver rejects the request.
pub async fn a_lease_is_with_one_holder<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, key) = (
        fixture.connect().await,
        fixture.connect().await,
        unique("key"),
    );
    if !here.driver.caps().leases {
        is_refused(&here, &key).await;
        return is_refused(&there, &key).await;
    }
    assert_eq!(ask(&here, &key, "one", MINUTE).await, Lease::Granted);
    match ask(&there, &key, "two", MINUTE).await {
        Lease::Held { left } => assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?} left"),
        Lease::Granted => panic!("the key is held"),
    }
    let other = unique("key");
    assert_eq!(ask(&there, &other, "two", MINUTE).await, Lease::Granted);
}

/// The holder of a key may ask again, from any connection, and then has it for the new time; or the driver rejects the request.
pub async fn a_holder_prolongs_its_lease<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, key) = (
        fixture.connect().await,
        fixture.connect().await,
        unique("key"),
    );
    if !here.driver.caps().leases {
        return is_refused(&here, &key).await;
    }
    assert_eq!(ask(&here, &key, "one", QUIET).await, Lease::Granted);
    assert_eq!(ask(&there, &key, "one", MINUTE).await, Lease::Granted);
    tokio::time::sleep(QUIET + QUIET).await;
    let asked = ask(&there, &key, "two", MINUTE).await;
    assert!(matches!(asked, Lease::Held { .. }), "{asked:?}");
}

/// A lease ends at its expiry, and not when its holder ends; or the driver rejects the request.
pub async fn a_lease_ends_by_itself<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, key) = (
        fixture.connect().await,
        fixture.connect().await,
        unique("key"),
    );
    if !here.driver.caps().leases {
        return is_refused(&here, &key).await;
    }
    assert_eq!(ask(&here, &key, "one", 2 * QUIET).await, Lease::Granted);
    here.close().await;
    let asked = ask(&there, &key, "two", MINUTE).await;
    assert!(matches!(asked, Lease::Held { .. }), "{asked:?}");
    let asks = || ask(&there, &key, "two", MINUTE);
    eventually(fixture.limit, "the lease", Lease::Granted, asks).await;
}

/// One of many concurrent requests gets the key; or the driver rejects all.
pub async fn one_of_many_gets_the_lease<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if !here.driver.caps().leases {
        let asking = (0..8).map(async |_| is_refused(&here, &unique("key")).await);
        return drop(join_all(asking).await);
    }
    for round in 0..20 {
        let key = unique("key");
        let holders: Vec<_> = (0..8).map(|n| format!("holder {n}")).collect();
        let asked = holders.iter().enumerate().map(|(n, holder)| {
            let connection = if n % 2 == 0 { &here } else { &there };
            ask(connection, &key, holder, MINUTE)
        });
        let answers = join_all(asked).await;
        let granted = answers.iter().filter(|lease| **lease == Lease::Granted);
        assert_eq!(granted.count(), 1, "round {round}: {answers:?}");
    }
}

/// Asserts that the driver rejects a request, with the name of the key.
async fn is_refused<B: QueueBroker>(connection: &Connection<B>, key: &str) {
    let asked = connection.driver.lease(key, "one", MINUTE).await;
    unsupported(key, asked);
}

async fn ask<B: QueueBroker>(
    connection: &Connection<B>,
    key: &str,
    holder: &str,
    ttl: Duration,
) -> Lease {
    let asked = connection.driver.lease(key, holder, ttl).await;
    asked.expect("an answer about the lease")
}
