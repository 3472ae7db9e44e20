//! The return of messages to the list, on a server.

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, QueueBroker};
use microagent_testing::RedisServer;

use super::*;
use crate::{RedisBroker, RedisOptions};

const LEASE: Duration = Duration::from_secs(2);

microagent_testing::needs! {
    redis {
        async fn a_consumer_that_dies_during_a_release_is_not_forgotten,
        async fn a_consumer_that_renews_its_lease_is_not_recovered,
    }
}

/// Starts a server on which a consumer of `jobs` has died with a message in flight.
async fn with_a_dead_consumer() -> (RedisServer, Connector) {
    let server = RedisServer::start().await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    for command in [
        &["ZADD", "{jobs}:leases", "1000", "dead"][..],
        &["HSET", "{jobs}:taken:dead", "7", "a"],
        &["HSET", "{jobs}:meta", "7", "3 0"],
    ] {
        server.command(command).await.unwrap();
    }
    let options = RedisOptions::parse(&format!("redis://{}", server.address())).unwrap();
    let connector = Connector::connect(&options).await.unwrap();
    (server, connector)
}

async fn a_consumer_that_dies_during_a_release_is_not_forgotten() {
    let (server, connector) = with_a_dead_consumer().await;
    // As if its lease had ended after the search for dead consumers.
    let mut connection = connector.commands().await.unwrap();
    let keys = QueueKeys::of("jobs");
    let released = release_some(&mut connection, &keys).await.unwrap();
    assert_eq!(released, (0, 1));
    let left = [
        "EXISTS",
        "{jobs}:leases",
        "{jobs}:taken:dead",
        "{jobs}:meta",
    ];
    assert_eq!(server.command(&left).await.unwrap(), "3");

    let released = release(&connector, &Queue::new("jobs"), LEASE)
        .await
        .unwrap();
    assert_eq!(released, 1);
    assert_eq!(server.command(&["LLEN", "jobs"]).await.unwrap(), "1");
    let beside = server.command(&["DBSIZE"]).await.unwrap();
    assert_eq!(beside, "1", "nothing is left beside the list");
}

/// After an outage of the server, the leases of consumers that live have ended.
async fn a_consumer_that_renews_its_lease_is_not_recovered() {
    let server = RedisServer::start().await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let options = RedisOptions::parse(&format!("redis://{}", server.address())).unwrap();
    let broker = RedisBroker::connect_with_lease(&options, LEASE).await;
    let (broker, jobs) = (broker.unwrap(), Queue::new("jobs"));
    let deliveries = broker.consume(&jobs, ConsumeOptions::default()).await;
    let mut deliveries = deliveries.unwrap();
    server.command(&["RPUSH", "jobs", "a"]).await.unwrap();
    let delivery = deliveries.next().await.unwrap();

    let first = "return redis.call('ZRANGE', KEYS[1], 0, 0)[1]";
    let ask = ["EVAL", first, "1", "{jobs}:leases"];
    let consumer = server.command(&ask).await.unwrap();
    let expire = ["ZADD", "{jobs}:leases", "XX", "CH", "1000", &consumer];
    assert_eq!(server.command(&expire).await.unwrap(), "1");
    let error = broker.release(&jobs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    delivery.ack().await.unwrap();
}
