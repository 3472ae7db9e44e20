//! Leases: a key has one holder at a time, until its expiry. Or the broker offers no leases, as its capabilities say.

use microagent_core::QueueBroker;

use super::{
    BrokerServer,
    fixture::{Connection, Fixture},
};
use crate::suite::Connections;

/// One of two connections gets the key, and the other learns for how long; or there are no leases.
pub async fn a_lease_is_with_one_holder<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there) {
        leases.one_of_two_holders_gets_the_key().await;
    }
}

/// The holder of a key may ask again, from any connection, and then has it for the new time; or there are no leases.
pub async fn a_holder_prolongs_its_lease<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there) {
        leases.a_holder_prolongs().await;
    }
}

/// A lease ends at its expiry, and not when its holder ends; or there are no leases.
pub async fn a_lease_ends_by_itself<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there) {
        leases
            .a_lease_ends_by_its_time(fixture.limit, here.close())
            .await;
    }
}

/// One of many concurrent requests gets the key; or there are no leases.
pub async fn one_of_many_gets_the_lease<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there) {
        leases.one_of_many_gets_the_key().await;
    }
}

/// Returns the leases, which both connections offer if the capabilities say so, and otherwise do not offer.
fn leases_of<'a, B: QueueBroker>(
    here: &'a Connection<B>,
    there: &'a Connection<B>,
) -> Option<Connections<'a>> {
    let connections = [here, there];
    for connection in connections {
        let promised = connection.driver.caps().leases;
        assert_eq!(
            connection.driver.leases().is_some(),
            promised,
            "`Caps::leases`"
        );
    }
    let [here, there] = connections.map(|connection| connection.driver.leases());
    Some(Connections {
        here: here?,
        there: there?,
    })
}
