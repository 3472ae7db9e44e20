//! Processes that die: on one message, at random, and when they are asked to.

use std::time::Duration;

use microagent_core::{QueueBroker, header};

use crate::bench::{
    Bench, DEAD, JOBS, MINUTES, SUSPECTS, bench, bench_with, connect, consume, ends_well, job,
    job_that, next, within,
};

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
    a_killer_is_parked(&bench().await).await;
}

/// 34. The same on a quorum queue, whose own count of deliveries is not used.
async fn line_34_a_killer_in_a_quorum_queue_is_parked_and_its_neighbours_are_handled() {
    a_killer_is_parked(&bench_with("&queue_type=quorum").await).await;
}

async fn a_killer_is_parked(bench: &Bench) {
    bench.push([job_that("abort", 0)]).await;
    bench.push((1..50).map(job)).await;
    for _ in 0..3 {
        let killed = bench.worker(50, 50);
        let status = within(MINUTES, "the death of the process", killed.ended()).await;
        assert!(!status.success());
    }
    let last = bench.worker(50, 50);
    bench.journal.handled(49, MINUTES).await;
    let broker = bench.broker().await;
    bench.until_length(&broker, &DEAD, 1).await;
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    assert_eq!(dead.header(header::DEAD_REASON), Some("crash"));
    let killer = job_that("abort", 0).to_string();
    assert_eq!(dead.payload(), killer.as_bytes());
    let killers = bench.journal.look(|record| {
        let started = record.started.iter();
        started.filter(|n| **n == 0).count()
    });
    assert_eq!(killers, 3, "one death each");
    bench.until_length(&broker, &JOBS, 0).await;
    bench.until_length(&broker, &SUSPECTS, 0).await;
    ends_well(last).await;
    broker.close().await.unwrap();
}
