//! The return of messages to the list, on a server.

use microagent_testing::RedisServer;

use super::*;
use crate::RedisOptions;

microagent_testing::needs! {
    redis {
        async fn a_consumer_that_dies_during_a_release_is_not_forgotten,
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

    let released = release(&connector, &Queue::new("jobs")).await.unwrap();
    assert_eq!(released, 1);
    assert_eq!(server.command(&["LLEN", "jobs"]).await.unwrap(), "1");
    let beside = server.command(&["DBSIZE"]).await.unwrap();
    assert_eq!(beside, "1", "nothing is left beside the list");
}
