//! The server goes, comes back, is cut off, stands still, is full, or takes a queue away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use microagent_core::{DeclareOptions, ErrorKind, QueueBroker};
use microagent_testing::RabbitMqServer;
use microagent_testing::failure_suite::FailureServer;

use crate::{
    bench::{
        Bench, JOBS, MINUTES, PATIENCE, SUSPECTS, bench, connect, consume, error_of, job, job_that,
        kind_of, next, number, number_of, say, send, until, until_length, within,
    },
    support::Proxy,
};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for,
        multi_thread async fn line_18_a_server_that_stands_still_is_noticed,
        multi_thread async fn line_30_no_confirmed_message_is_lost_when_the_server_is_killed_twice,
        multi_thread async fn line_31_a_message_whose_confirmation_is_cut_off_is_sent_again_with_its_id,
        multi_thread async fn line_35_after_the_consumer_timeout_the_message_comes_again_on_a_new_channel,
        multi_thread async fn line_36_a_queue_that_is_deleted_under_its_consumer_is_declared_again,
        multi_thread async fn line_37_in_an_alarm_sends_fail_and_consumers_go_on,
        multi_thread async fn line_38_after_an_outage_the_same_process_consumes,
    }
}

/// The number of publishers, which send 100 messages each.
const PUBLISHERS: &str = "MICROAGENT_TEST_PUBLISHERS";
/// The duration of the outage, in seconds.
const OUTAGE: &str = "MICROAGENT_TEST_OUTAGE";

/// 12. A server that is away is not an error: the broker is not ready, keeps trying, and is ready when the server is there.
async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for() {
    let bench = bench().await;
    bench.server.kill().await.unwrap();
    let broker = connect(&bench.address()).await.unwrap();
    assert!(!broker.connection().unwrap().up, "it is away");
    let error = error_of(broker.length(&JOBS).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    bench.server.restart().await.unwrap();
    within(PATIENCE, "a connection", broker.ready())
        .await
        .unwrap();
    let mut jobs = consume(&broker, 1).await;
    send(&broker, job(0)).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// 18. The server stands still and its connections stay open: a send ends in an error, and succeeds when it goes on.
async fn line_18_a_server_that_stands_still_is_noticed() {
    let bench = bench().await;
    bench.push([job(0)]).await;
    let broker = bench.broker().await;
    send(&broker, job(1)).await.unwrap();
    bench.server.stall();
    let sent = within(
        PATIENCE,
        "an error instead of a hanging send",
        send(&broker, job(2)),
    )
    .await;
    assert_eq!(kind_of(sent), ErrorKind::Unavailable);
    bench.server.resume();
    until("a send", PATIENCE, async || {
        send(&broker, job(3)).await.is_ok()
    })
    .await;
    broker.close().await.unwrap();
}

/// 30. The server is killed and started again twice: each message whose send was confirmed reaches a consumer.
async fn line_30_no_confirmed_message_is_lost_when_the_server_is_killed_twice() {
    let bench = bench().await;
    let publishers = number(PUBLISHERS).unwrap_or(10);
    let all = usize::try_from(publishers * 100).unwrap();
    let broker = bench.broker().await;
    let options = DeclareOptions::default();
    broker.declare(&JOBS, &options).await.unwrap();
    broker.close().await.unwrap();
    let worker = bench.worker(8, 64);
    let (confirmed, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let publishing: Vec<_> = (0..publishers)
        .map(|publisher| {
            let counts = (Arc::clone(&confirmed), Arc::clone(&failed));
            tokio::spawn(publish(bench.address(), publisher * 100, counts))
        })
        .collect();
    for part in [1, 2] {
        until("some confirmed messages", MINUTES, async || {
            confirmed.load(Ordering::SeqCst) >= all * part / 3
        })
        .await;
        bench.server.kill().await.unwrap();
        bench.server.restart().await.unwrap();
    }
    for published in join_all(publishing).await {
        published.unwrap();
    }
    bench.journal.handled(all, MINUTES).await;
    let started = bench.journal.look(|record| record.started.len());
    say(&format!(
        "{all} messages of {publishers} publishers, 2 kills of the server: {} confirmed, {} sends failed and were made again, 0 lost, {started} deliveries",
        confirmed.load(Ordering::SeqCst),
        failed.load(Ordering::SeqCst),
    ));
    worker.ends_well().await;
}

/// Sends 100 messages over a connection of its own, each until it is confirmed.
async fn publish(address: String, first: u64, counts: (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
    let broker = connect(&address).await.unwrap();
    for n in first..first + 100 {
        while let Err(error) = send(&broker, job(n)).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            counts.1.fetch_add(1, Ordering::SeqCst);
        }
        counts.0.fetch_add(1, Ordering::SeqCst);
    }
    broker.close().await.unwrap();
}

/// 31. The connection is cut between a message and its confirmation: the message is sent again with the same id.
async fn line_31_a_message_whose_confirmation_is_cut_off_is_sent_again_with_its_id() {
    let bench = bench().await;
    bench.push([]).await;
    let proxy = Proxy::start(&bench.server.server().address())
        .await
        .unwrap();
    let over = connect(&proxy.dsn()).await.unwrap();
    let broker = bench.broker().await;
    send(&over, job(0)).await.unwrap();
    until_length(&broker, &JOBS, 1).await;
    proxy.mute(true);
    let sending = tokio::spawn(async move {
        let sent = send(&over, job(1)).await;
        (over, sent)
    });
    until_length(&broker, &JOBS, 2).await;
    proxy.mute(false);
    proxy.cut();
    let (over, sent) = within(PATIENCE, "the send", sending).await.unwrap();
    sent.unwrap();
    until_length(&broker, &JOBS, 3).await;
    let mut jobs = consume(&broker, 3).await;
    let mut ids = Vec::new();
    for n in [0, 1, 1] {
        let delivery = next(&mut jobs).await;
        assert_eq!(number_of(&delivery), n);
        ids.push(delivery.message().id().map(str::to_owned));
        delivery.ack().await.unwrap();
    }
    assert_eq!(ids[1], ids[2]);
    assert_ne!(ids[0], ids[1]);
    over.close().await.unwrap();
    broker.close().await.unwrap();
}

/// 35. A handler takes longer than the server allows: the message comes again, and the late acknowledgement removes nothing.
async fn line_35_after_the_consumer_timeout_the_message_comes_again_on_a_new_channel() {
    let limits = "{rabbit, [{consumer_timeout, 3000}, {channel_tick_interval, 1000}]}";
    let server = RabbitMqServer::start_with(limits).await.unwrap();
    let broker = connect(&server.dsn()).await.unwrap();
    let mut jobs = consume(&broker, 1).await;
    send(&broker, job(0)).await.unwrap();
    let late = next(&mut jobs).await;
    until("the message to be put aside", PATIENCE, async || {
        broker
            .length(&SUSPECTS)
            .await
            .is_ok_and(|length| length == 1)
    })
    .await;
    let error = error_of(late.ack().await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("may be delivered again"),
        "{error}"
    );
    let again = next(&mut jobs).await;
    assert_eq!(number_of(&again), 0);
    again.ack().await.unwrap();
    send(&broker, job(1)).await.unwrap();
    let other = next(&mut jobs).await;
    assert_eq!(number_of(&other), 1);
    other.ack().await.unwrap();
    for queue in [JOBS, SUSPECTS] {
        assert_eq!(broker.length(&queue).await.unwrap(), 0, "{queue}");
    }
    broker.close().await.unwrap();
}

/// 36. The queue is deleted under its consumer: it is there again, and the same stream yields what is sent.
async fn line_36_a_queue_that_is_deleted_under_its_consumer_is_declared_again() {
    let bench = bench().await;
    let broker = bench.broker().await;
    let mut jobs = consume(&broker, 4).await;
    send(&broker, job(0)).await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    for queue in ["jobs", "jobs.suspects"] {
        bench.server.delete_queue(queue).await;
    }
    until(
        "the queue to be there again",
        PATIENCE,
        async || match send(&broker, job(1)).await {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unroutable, "{error}");
                false
            }
        },
    )
    .await;
    let again = next(&mut jobs).await;
    assert_eq!(number_of(&again), 1);
    again.ack().await.unwrap();
    broker.close().await.unwrap();
}

/// 37. The server is short of memory: a send fails and says so, consumers acknowledge, and a retry is stored afterwards.
async fn line_37_in_an_alarm_sends_fail_and_consumers_go_on() {
    let bench = bench().await;
    bench.push((0..3).map(job)).await;
    let broker = bench.broker().await;
    let mut jobs = consume(&broker, 3).await;
    let (first, second, third) = (
        next(&mut jobs).await,
        next(&mut jobs).await,
        next(&mut jobs).await,
    );
    limit_memory(&bench, "0.0001").await;
    let sent = within(
        PATIENCE,
        "an error instead of a hanging send",
        send(&broker, job(3)),
    )
    .await;
    let error = error_of(sent);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("memory"), "{error}");
    within(PATIENCE, "an acknowledgement", first.ack())
        .await
        .unwrap();
    let retried = tokio::spawn(second.retry(Duration::ZERO));
    within(PATIENCE, "an acknowledgement", third.ack())
        .await
        .unwrap();
    assert!(!retried.is_finished(), "its copy is not stored yet");
    limit_memory(&bench, "0.4").await;
    within(PATIENCE, "the retry", retried)
        .await
        .unwrap()
        .unwrap();
    // The message that could not be sent in the alarm may have been sent afterwards.
    let mut again = next(&mut jobs).await;
    while number_of(&again) == 3 {
        again.ack().await.unwrap();
        again = next(&mut jobs).await;
    }
    assert_eq!((number_of(&again), again.message().attempt()), (1, 2));
    again.ack().await.unwrap();
    broker.close().await.unwrap();
}

pub(crate) async fn limit_memory(bench: &Bench, part: &str) {
    bench
        .server
        .control(&["set_vm_memory_high_watermark", part])
        .await;
}

/// 38. The server is away for a while: the same process consumes within 30 s of its return.
async fn line_38_after_an_outage_the_same_process_consumes() {
    let bench = bench().await;
    bench.push((0..10).map(job)).await;
    let mut worker = bench.worker(8, 8);
    bench.push([job_that("wait", 10)]).await;
    bench.journal.handled(10, MINUTES).await;
    bench.journal.started(11, PATIENCE).await;
    let lasts = Duration::from_secs(number(OUTAGE).unwrap_or(5));
    bench.server.kill().await.unwrap();
    tokio::time::sleep(lasts).await;
    bench.server.restart().await.unwrap();
    let back = Instant::now();
    worker.go_on();
    bench.push((11..20).map(job)).await;
    bench.journal.handled(20, MINUTES).await;
    let took = back.elapsed();
    say(&format!(
        "after an outage of {lasts:?}, everything was handled within {took:?} of the return"
    ));
    assert!(took < Duration::from_secs(30), "{took:?}");
    // It is the process of before the outage, and it ends as it is asked to.
    worker.ends_well().await;
}
