//! The server goes, comes back, stands still, or cuts its connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use microagent_core::{ErrorKind, QueueBroker};
use microagent_testing::failure_suite::FailureServer;

use crate::bench::{
    DEAD, JOBS, MINUTES, PATIENCE, bench, connect, error_of, job, job_that, number, say, send,
    until, until_length, within,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for,
        multi_thread async fn line_18_a_server_that_stands_still_is_noticed,
        multi_thread async fn no_confirmed_message_is_lost_when_the_server_is_killed_twice,
        multi_thread async fn after_an_outage_the_same_process_consumes_and_finishes_what_ran,
    }
}

/// The number of publishers, which send 100 messages each.
const PUBLISHERS: &str = "MICROAGENT_TEST_PUBLISHERS";
/// The duration of the outage, in seconds.
const OUTAGE: &str = "MICROAGENT_TEST_OUTAGE";

/// Line 12: A server that is away is not an error: the broker keeps trying, and is ready when the server is there.
async fn line_12_a_server_that_is_absent_at_the_start_is_waited_for() {
    let bench = bench().await;
    bench.server.kill().await.unwrap();
    let broker = connect(&bench.address()).await.unwrap();
    let error = error_of(within(PATIENCE, "an answer", broker.length(&JOBS)).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let worker = bench.worker(4, 4);
    bench.server.restart().await.unwrap();
    within(PATIENCE, "a connection", broker.ready())
        .await
        .unwrap();
    bench.push((0..10).map(job)).await;
    bench.journal.handled(10, MINUTES).await;
    worker.ends_well().await;
    broker.close().await.unwrap();
}

/// Line 18: The server stands still and its connections stay open: a send ends in an error, and succeeds when it goes on.
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
    let error = error_of(sent);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("may or may not"), "{error}");
    bench.server.resume();
    until("a send", PATIENCE, async || {
        send(&broker, job(3)).await.is_ok()
    })
    .await;
    let worker = bench.worker(4, 4);
    bench
        .journal
        .until("what was confirmed", MINUTES, |record| {
            [0, 1, 3].iter().all(|n| record.handled.contains_key(n))
        })
        .await;
    worker.ends_well().await;
    broker.close().await.unwrap();
}

/// The server is killed and started again twice under load: each message whose send was confirmed reaches the same process.
async fn no_confirmed_message_is_lost_when_the_server_is_killed_twice() {
    let bench = bench().await;
    let publishers = number(PUBLISHERS).unwrap_or(10);
    let all = usize::try_from(publishers * 100).unwrap();
    bench.push([]).await;
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
    let back = Instant::now();
    for published in join_all(publishing).await {
        published.unwrap();
    }
    bench.journal.handled(all, MINUTES).await;
    let (took, broker) = (back.elapsed(), bench.broker().await);
    until_length(&broker, &JOBS, 0).await;
    assert_eq!(broker.length(&DEAD).await.unwrap(), 0);
    let started = bench.journal.look(|record| record.started.len());
    say(&format!(
        "{all} messages of {publishers} publishers, 2 kills of the server: {} confirmed, {} sends failed and were made again, 0 lost, {started} deliveries, all handled {took:?} after the last return",
        confirmed.load(Ordering::SeqCst),
        failed.load(Ordering::SeqCst),
    ));
    worker.ends_well().await;
    broker.close().await.unwrap();
}

/// Sends 100 messages over a connection of its own, each until it is confirmed.
async fn publish(address: String, first: u64, counts: (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
    let broker = connect(&address).await.unwrap();
    for n in first..first + 100 {
        while let Err(error) = send(&broker, job_that("take", n)).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            counts.1.fetch_add(1, Ordering::SeqCst);
        }
        counts.0.fetch_add(1, Ordering::SeqCst);
    }
    broker.close().await.unwrap();
}

/// The server is away for a while: the same process consumes soon after its return, and what ran meanwhile is settled.
async fn after_an_outage_the_same_process_consumes_and_finishes_what_ran() {
    let bench = bench().await;
    bench.push((0..10).map(job)).await;
    let mut worker = bench.worker(8, 8);
    bench.push([job_that("wait", 10)]).await;
    bench.journal.handled(10, MINUTES).await;
    bench.journal.started(11, PATIENCE).await;
    let lasts = Duration::from_secs(number(OUTAGE).unwrap_or(5));
    bench.server.kill().await.unwrap();
    tokio::time::sleep(lasts).await;
    worker.go_on();
    bench.journal.handled(11, PATIENCE).await;
    bench.server.restart().await.unwrap();
    let back = Instant::now();
    bench.push((11..20).map(job)).await;
    bench.journal.handled(20, MINUTES).await;
    let took = back.elapsed();
    say(&format!(
        "after an outage of {lasts:?}, everything was handled within {took:?} of the return"
    ));
    assert!(took < Duration::from_secs(90), "{took:?}");
    let broker = bench.broker().await;
    until_length(&broker, &JOBS, 0).await;
    // It is the process of before the outage, and it ends as it is asked to.
    worker.ends_well().await;
    broker.close().await.unwrap();
}
