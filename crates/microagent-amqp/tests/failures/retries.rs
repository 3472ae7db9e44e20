//! Messages whose handlers fail: delayed retries, then a dead letter.

use std::{
    fs,
    time::{Duration, Instant},
};

use microagent_core::{QueueBroker, header};

use crate::bench::{Bench, DEAD, JOBS, PATIENCE, bench, bench_with, job_that, say, until_length};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn line_33_a_failing_message_is_retried_after_1_4_and_9_s_and_parked,
        multi_thread async fn line_33_a_failing_message_of_a_quorum_queue_is_retried_and_parked,
    }
}

/// 33. A handler fails each time: retries after 1, 4 and 9 s, then a dead letter that says why; meanwhile nobody is busy.
async fn line_33_a_failing_message_is_retried_after_1_4_and_9_s_and_parked() {
    retried_and_parked(&bench().await).await;
}

/// 33. The same on a quorum queue.
async fn line_33_a_failing_message_of_a_quorum_queue_is_retried_and_parked() {
    retried_and_parked(&bench_with("&queue_type=quorum").await).await;
}

async fn retried_and_parked(bench: &Bench) {
    let server = bench.server.control(&["eval", "os:getpid()."]).await;
    let server = server.trim().trim_matches('"').to_owned();
    let begun = Instant::now();
    bench.push([job_that("fail always", 0)]).await;
    let worker = bench.worker(8, 8);
    let client = worker.id().to_string();
    let mut times = Vec::new();
    let mut busy = (Duration::ZERO, Duration::ZERO);
    for attempt in 1..=4 {
        bench.journal.started(attempt, PATIENCE).await;
        times.push(Instant::now());
        if attempt == 3 {
            busy = (processor_time(&client), processor_time(&server));
        }
    }
    let busy = (
        processor_time(&client).saturating_sub(busy.0),
        processor_time(&server).saturating_sub(busy.1),
    );
    let broker = bench.broker().await;
    until_length(&broker, &DEAD, 1).await;
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    let header = |name| dead.header(name).unwrap_or_default();
    assert_eq!(header(header::DEAD_REASON), "failed");
    assert_eq!(header(header::DEAD_ATTEMPTS), "4");
    assert!(header(header::DEAD_DETAIL).contains("it fails every time"));
    for name in [header::DEAD_AT, header::DEAD_FIRST_AT] {
        assert!(!header(name).is_empty(), "{name}: {dead:?}");
    }
    say(&format!(
        "retries after {gaps:?}; in the last 9 s the client used {:?} and the server {:?} of processor time",
        busy.0, busy.1
    ));
    // An attempt may be heard of late, and never early.
    for (time, least) in times[1..].iter().zip([1, 1 + 4, 1 + 4 + 9]) {
        assert!(*time - begun >= Duration::from_secs(least), "{gaps:?}");
    }
    assert!(
        busy.0 < Duration::from_secs(2) && busy.1 < Duration::from_secs(5),
        "{busy:?}"
    );
    assert_eq!(broker.length(&JOBS).await.unwrap(), 0);
    broker.close().await.unwrap();
    worker.ends_well().await;
}

/// Returns the processor time that a process has used, in user and system mode.
fn processor_time(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let ticks = after
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
