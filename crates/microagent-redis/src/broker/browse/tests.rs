//! Messages that are named by their ids, on a server.

use std::time::Duration;

use microagent_testing::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::*;

microagent_testing::needs! {
    redis {
        async fn an_id_of_any_position_is_looked_for_within_bounds,
        async fn a_part_of_an_id_names_no_message,
        async fn a_message_is_found_where_it_has_moved_to,
        async fn messages_are_moved_and_removed_while_the_memory_of_the_server_is_full,
    }
}

/// Starts a server whose queue `jobs` has these messages.
async fn jobs(bodies: &[&str]) -> (RedisServer, MultiplexedConnection) {
    let server = RedisServer::start().await;
    let server = server.unwrap_or_else(|error| panic!("cannot start a server: {error}"));
    let address = format!("redis://{}/0", server.address());
    let client = redis::Client::open(address).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut send = redis::cmd("RPUSH");
    let sent = send.arg("jobs").arg(bodies).query_async(&mut connection);
    let _: u64 = sent.await.unwrap();
    (server, connection)
}

/// Returns the ids of what waits, in order.
async fn ids(connection: &mut MultiplexedConnection) -> Vec<String> {
    let seen = peek(connection, &Queue::new("jobs"), 100).await.unwrap();
    seen.iter()
        .map(|message| message.id().unwrap().to_owned())
        .collect()
}

async fn an_id_of_any_position_is_looked_for_within_bounds() {
    let (server, mut connection) = jobs(&["a", "b"]).await;
    let queue = Queue::new("jobs");
    let id = ids(&mut connection).await.remove(1);
    let digest = id.split_once('-').unwrap().1;
    // Numbers from 2^53 on do not change when 1 is subtracted.
    for position in ["9007199254740993", "10000000000000000", &"9".repeat(400)] {
        let id = format!("{position}-{digest}");
        let purged = purge_one(&mut connection, &queue, &id);
        let purged = timeout(Duration::from_secs(10), purged).await;
        assert!(!purged.expect("an answer").unwrap(), "{id}");
    }
    assert_eq!(server.command(&["LLEN", "jobs"]).await.unwrap(), "2");
    assert!(purge_one(&mut connection, &queue, &id).await.unwrap());
}

async fn a_part_of_an_id_names_no_message() {
    let (_server, mut connection) = jobs(&["a"]).await;
    let queue = Queue::new("jobs");
    let id = ids(&mut connection).await.remove(0);
    for length in 1..id.len() {
        let part = &id[..length];
        assert!(!purge_one(&mut connection, &queue, part).await.unwrap());
    }
    assert!(purge_one(&mut connection, &queue, &id).await.unwrap());
}

async fn a_message_is_found_where_it_has_moved_to() {
    let bodies: Vec<String> = (0..50).map(|number| format!("job {number}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let (server, mut connection) = jobs(&bodies).await;
    let queue = Queue::new("jobs");
    let mut ids = ids(&mut connection).await;
    let (late, early) = (ids.remove(49), ids.remove(40));
    // Of those that are left, the first two are put aside by a blocking move.
    server.command(&["LPOP", "jobs", "39"]).await.unwrap();
    for _ in 0..2 {
        let put_aside = ["LMOVE", "jobs", "{jobs}:inbox", "LEFT", "RIGHT"];
        server.command(&put_aside).await.unwrap();
    }
    for id in [late, early] {
        assert!(
            purge_one(&mut connection, &queue, &id).await.unwrap(),
            "{id}"
        );
        assert!(
            !purge_one(&mut connection, &queue, &id).await.unwrap(),
            "{id}"
        );
    }
    let left = server.command(&["LLEN", "jobs"]).await.unwrap();
    assert_eq!(left, "8");
}

async fn messages_are_moved_and_removed_while_the_memory_of_the_server_is_full() {
    let (server, mut connection) = jobs(&["a", "b", "c", "d"]).await;
    let (queue, other) = (Queue::new("jobs"), Queue::new("other"));
    let ids = ids(&mut connection).await;
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    server.command(&full).await.unwrap();
    server
        .command(&["RPUSH", "jobs", "e"])
        .await
        .expect_err("no memory");
    assert!(purge_one(&mut connection, &queue, &ids[3]).await.unwrap());
    let moved = requeue_one(&mut connection, (&queue, &other), &ids[2], false);
    assert!(moved.await.unwrap());
    let moved = requeue(&mut connection, (&queue, &other), 8, false);
    assert_eq!(moved.await.unwrap(), 2);
}
