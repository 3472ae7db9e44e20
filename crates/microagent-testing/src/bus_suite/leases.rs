//! A key is held by one holder at a time, for its time; or the bus offers no leases, and a schedule that needs them does not
//! start.

use std::{future::ready, sync::Arc};

use microagent_core::{
    Agent, Blueprint, Bus, Context, CronOptions, ErrorKind, MicroAgent, Once, Result,
};

use super::{
    BusServer,
    server::{Connection, Fixture},
};
use crate::suite::Connections;

/// Of two connections that ask, one gets the key, and the other learns for how long; or there are no leases.
pub async fn a_lease_is_with_one_holder<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there).await {
        leases.one_of_two_holders_gets_the_key().await;
    }
}

/// The holder of a key may ask again, from any connection, and then has it for the new time; or there are no leases.
pub async fn a_holder_prolongs_its_lease<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there).await {
        leases.a_holder_prolongs().await;
    }
}

/// A lease ends by itself, and not before its time; its holder's end does not end it. Or there are no leases.
pub async fn a_lease_ends_by_itself<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there).await {
        let close = async { here.driver.close().await.expect("a close") };
        leases.a_lease_ends_by_its_time(fixture.limit, close).await;
    }
}

/// Of many that ask at the same time, one gets the key; or there are no leases.
pub async fn one_of_many_gets_the_lease<S: BusServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there) = (fixture.connect().await, fixture.connect().await);
    if let Some(leases) = leases_of(&here, &there).await {
        leases.one_of_many_gets_the_key().await;
    }
}

/// Returns the leases, which either both connections offer or none. Without them a schedule that runs once is refused.
async fn leases_of<'a>(here: &'a Connection, there: &'a Connection) -> Option<Connections<'a>> {
    match (here.driver.leases(), there.driver.leases()) {
        (Some(here), Some(there)) => Some(Connections { here, there }),
        (None, None) => {
            once_is_refused(here).await;
            None
        }
        _ => panic!("one connection has leases, and the other has none"),
    }
}

async fn once_is_refused(connection: &Connection) {
    let bus = Bus::new(Arc::clone(&connection.driver));
    let refused = Agent::new(Nightly).bus(bus).start().await;
    let error = refused.expect_err("a schedule that runs once was to be refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let address = connection.driver.address();
    assert!(error.to_string().contains(&address), "{error}");
}

/// An agent with a schedule that runs once.
struct Nightly;

impl MicroAgent for Nightly {
    const NAME: &'static str = "Nightly";

    fn blueprint() -> Blueprint<Self> {
        let nightly = CronOptions::at("0 0 * * *").once(Once::default());
        Blueprint::new().cron("clean", nightly, |_: &Arc<Self>, _: &Context| {
            Box::pin(ready(Ok(())))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}
