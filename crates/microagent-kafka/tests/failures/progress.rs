//! Commits: what one message that fails holds back, what a stop in the middle of a handler leaves, and what waited before the start.

use microagent_core::{QueueBroker, header};
use microagent_testing::failure_suite::Record;

use crate::{
    agents::FAILING,
    bench::{
        DEAD, JOBS, MINUTES, PATIENCE, committed, job, job_that, number, patient_bench, say, until,
        until_length, within,
    },
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn line_40_a_commit_never_passes_a_message_that_fails_again_and_again,
        multi_thread async fn line_44_a_handler_that_outlives_the_drain_is_not_committed,
        multi_thread async fn line_45_messages_of_the_time_without_consumers_are_handled,
    }
}

/// The number of messages behind the one that fails.
const BACKLOG: &str = "MICROAGENT_TEST_BACKLOG";

/// Line 40: One message fails again and again while thousands behind it succeed: the group's offset does not pass it until it is a dead
/// letter, the process needs no more memory, and the others are handled.
async fn line_40_a_commit_never_passes_a_message_that_fails_again_and_again() {
    let bench = patient_bench("").await;
    let all = number(BACKLOG).unwrap_or(5_000);
    bench.push((0..all).map(job)).await;
    let mut worker = bench.process("stubborn 8 16");
    let others = usize::try_from(all).unwrap() - 1;
    bench.journal.handled(others / 5, MINUTES).await;
    let early = worker.peak_kib();
    let (broker, looker) = (bench.broker().await, bench.looker());
    let first = i64::try_from(FAILING).unwrap();
    until("the others to be handled", MINUTES, async || {
        let offset = committed(&looker, 0).unwrap_or_default();
        assert!(offset <= first, "{offset} is committed");
        bench.journal.look(|record| record.handled.len()) >= others
    })
    .await;
    let late = worker.peak_kib();
    until_length(&broker, &JOBS, 1).await;
    assert_eq!(committed(&looker, 0), Some(first));
    let fails = |record: &Record| record.says("fails 8") > 0;
    bench.journal.until("its failures", PATIENCE, fails).await;
    assert_eq!(broker.length(&DEAD).await.unwrap(), 0);

    worker.go_on();
    until_length(&broker, &DEAD, 1).await;
    until_length(&broker, &JOBS, 0).await;
    assert_eq!(committed(&looker, 0), i64::try_from(all).ok());
    let dead = broker.peek(&DEAD, 1).await.unwrap().remove(0);
    assert_eq!(dead.payload(), job(FAILING).to_string().as_bytes());
    assert_eq!(dead.header(header::DEAD_REASON), Some("terminal"));
    say(&format!(
        "{others} handled beside one that fails: the peak of memory grew from {early} to {late} KiB"
    ));
    assert!(late < early + 16 * 1024, "{early} KiB, then {late} KiB");
    assert_eq!(bench.journal.look(Record::duplicates), 0);
    worker.ends_well().await;
    broker.close().await.unwrap();
}

/// Line 44: The grace ends while handlers run: what they had is not committed, what was finished is, and the rest comes again.
async fn line_44_a_handler_that_outlives_the_drain_is_not_committed() {
    let bench = patient_bench("").await;
    bench.push((0..10).map(job)).await;
    let first = bench.worker(4, 8);
    bench.journal.handled(10, MINUTES).await;
    first.ends_well().await;
    bench.push((10..14).map(job)).await;
    let worker = bench.process("hurried 4 8");
    bench.journal.started(14, MINUTES).await;
    worker.terminate();
    within(PATIENCE, "the end of the process", worker.ended()).await;
    let (broker, looker) = (bench.broker().await, bench.looker());
    assert_eq!(committed(&looker, 0), Some(10));
    assert_eq!(broker.length(&JOBS).await.unwrap(), 4);

    let next = bench.worker(4, 8);
    bench.journal.handled(14, MINUTES).await;
    until_length(&broker, &JOBS, 0).await;
    assert_eq!(
        (
            bench.journal.look(Record::duplicates),
            bench.journal.look(Record::suspects)
        ),
        (0, 0)
    );
    next.ends_well().await;
    broker.close().await.unwrap();
}

/// Line 45: Messages are sent before the group has ever existed, and while all its members are gone: the next start handles them, once.
async fn line_45_messages_of_the_time_without_consumers_are_handled() {
    let bench = patient_bench("").await;
    bench.push((0..100).map(job)).await;
    let first = bench.worker(8, 16);
    bench.journal.handled(100, MINUTES).await;
    first.ends_well().await;
    bench.push((100..200).map(|n| job_that("take", n))).await;
    let second = bench.worker(8, 16);
    bench.journal.handled(200, MINUTES).await;
    second.ends_well().await;
    let broker = bench.broker().await;
    assert_eq!(broker.length(&JOBS).await.unwrap(), 0);
    let started = bench.journal.look(|record| record.started.len());
    assert_eq!((started, bench.journal.look(Record::suspects)), (200, 0));
    broker.close().await.unwrap();
}
