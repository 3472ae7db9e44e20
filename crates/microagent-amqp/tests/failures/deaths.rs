//! Processes that die: on one message, at random, and when they are asked to.

use std::time::Duration;

use microagent_core::QueueBroker;

use microagent_testing::failure_suite::load;

use crate::bench::{JOBS, SUSPECTS, bench, bench_with, connect, consume, job_that, next};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn line_05_a_handler_that_outlives_many_heartbeats_is_delivered_once,
        multi_thread async fn line_34_a_killer_is_parked_and_its_49_neighbours_are_handled,
        multi_thread async fn line_34_a_killer_in_a_quorum_queue_is_parked_and_its_neighbours_are_handled,
    }
}

/// 5. A handler runs longer than a connection without heartbeats lives, which is 30 s by default: its message is delivered once.
async fn line_05_a_handler_that_outlives_many_heartbeats_is_delivered_once() {
    let bench = bench().await;
    bench.push([job_that("wait", 0)]).await;
    let broker = connect(&bench.server.server().dsn()).await.unwrap();
    let mut jobs = consume(&broker, 1).await;
    let held = next(&mut jobs).await;
    let again = tokio::time::timeout(
        Duration::from_secs(35),
        futures_util::StreamExt::next(&mut jobs),
    );
    assert!(again.await.is_err(), "it was delivered again");
    held.ack().await.unwrap();
    assert_eq!(broker.length(&SUSPECTS).await.unwrap(), 0);
    assert_eq!(broker.length(&JOBS).await.unwrap(), 0);
    broker.close().await.unwrap();
}

/// 34. One of 50 messages in flight kills its process: it is a dead letter after three deaths, and the others are handled.
async fn line_34_a_killer_is_parked_and_its_49_neighbours_are_handled() {
    load::a_killer_is_parked(&bench().await, &[JOBS, SUSPECTS]).await;
}

/// 34. The same on a quorum queue, whose own count of deliveries is not used.
async fn line_34_a_killer_in_a_quorum_queue_is_parked_and_its_neighbours_are_handled() {
    let bench = bench_with("&queue_type=quorum").await;
    load::a_killer_is_parked(&bench, &[JOBS, SUSPECTS]).await;
}
