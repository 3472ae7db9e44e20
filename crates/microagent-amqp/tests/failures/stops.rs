//! A broker closes while the server is slow: nothing is repeated, and nothing looks like the message of a consumer that died.

use std::{collections::BTreeSet, time::Duration};

use futures_util::stream::BoxStream;
use microagent_amqp::AmqpBroker;
use microagent_core::{Delivery, QueueBroker};
use microagent_testing::failure_suite::FailureServer;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    bench::{
        Bench, JOBS, PATIENCE, SUSPECTS, bench, connect, consume, job, next, number_of, until,
        until_length, within,
    },
    outages::limit_memory,
};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn line_65_a_stop_while_the_server_stands_still_returns_each_message_once,
        multi_thread async fn line_65_a_stop_in_an_alarm_returns_each_message_once,
    }
}

/// The time without an answer. It is longer than the driver waits for the answer to a request that it may make again.
const SILENCE: Duration = Duration::from_secs(11);

/// The messages of a test. All of them are out of the queue when the consumer stops.
const MESSAGES: u64 = 8;

/// 65. The server stands still while a consumer stops, and goes on.
async fn line_65_a_stop_while_the_server_stands_still_returns_each_message_once() {
    let (bench, broker, mut jobs) = consuming().await;
    let (done, retried) = (next(&mut jobs).await, next(&mut jobs).await);
    let finished = number_of(&done);
    bench.server.stall();
    drop(jobs);
    let settling = [
        tokio::spawn(done.ack()),
        tokio::spawn(retried.retry(Duration::ZERO)),
    ];
    let closing = tokio::spawn(async move { broker.close().await });
    sleep(SILENCE).await;
    bench.server.resume();
    for settled in settling {
        within(PATIENCE, "a settlement", settled)
            .await
            .unwrap()
            .unwrap();
    }
    returned_once(&bench, closing, Some(finished)).await;
}

/// 65. The server takes no copies while a consumer stops: the consumer has ended before its messages are back.
async fn line_65_a_stop_in_an_alarm_returns_each_message_once() {
    let (bench, broker, mut jobs) = consuming().await;
    let retried = next(&mut jobs).await;
    limit_memory(&bench, "0.0001").await;
    drop(jobs);
    let retried = tokio::spawn(retried.retry(Duration::ZERO));
    until("the end of the consumer", PATIENCE, async || {
        let consumers = ["list_queues", "name", "consumers"];
        let consumers = bench.server.control(&consumers).await;
        consumers.lines().any(|line| line == "jobs\t0")
    })
    .await;
    let closing = tokio::spawn(async move { broker.close().await });
    sleep(SILENCE).await;
    limit_memory(&bench, "0.4").await;
    within(PATIENCE, "the retry", retried)
        .await
        .unwrap()
        .unwrap();
    returned_once(&bench, closing, None).await;
}

/// Starts a consumer that has all messages. The heartbeats of its connections tolerate a long silence.
async fn consuming() -> (Bench, AmqpBroker, BoxStream<'static, Delivery>) {
    let bench = bench().await;
    bench.push((0..MESSAGES).map(job)).await;
    let address = format!("{}?heartbeat=60", bench.server.server().dsn());
    let broker = connect(&address).await.unwrap();
    let jobs = consume(&broker, 100).await;
    until_length(&broker, &JOBS, 0).await;
    (bench, broker, jobs)
}

/// Waits for the end of the broker, and consumes its messages: each is in the queue once, and none is a suspect.
async fn returned_once(
    bench: &Bench,
    closing: JoinHandle<microagent_core::Result<()>>,
    finished: Option<u64>,
) {
    within(PATIENCE, "the stop", closing)
        .await
        .unwrap()
        .unwrap();
    let expected: BTreeSet<_> = (0..MESSAGES).filter(|n| Some(*n) != finished).collect();
    let broker = bench.broker().await;
    let count = u64::try_from(expected.len()).unwrap();
    assert_eq!(broker.length(&JOBS).await.unwrap(), count);
    let mut jobs = consume(&broker, 100).await;
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let job = next(&mut jobs).await;
        assert_eq!(job.message().crashes(), 0, "{}", number_of(&job));
        found.insert(number_of(&job));
        job.ack().await.unwrap();
    }
    assert_eq!(found, expected);
    assert_eq!(broker.length(&SUSPECTS).await.unwrap(), 0);
    broker.close().await.unwrap();
}
