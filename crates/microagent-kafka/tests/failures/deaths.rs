//! Processes that die: with messages that were finished out of order, on one message, and while one waits for its retry.

use microagent_core::QueueBroker;
use microagent_testing::failure_suite::{Record, load};

use crate::{
    agents::FAILING,
    bench::{
        JOBS, MINUTES, PATIENCE, bench, committed, consume, job, job_that, next, number_of,
        until_length,
    },
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn line_39_a_kill_repeats_what_was_in_flight_and_nothing_that_was_finished_beyond,
        multi_thread async fn a_killer_is_parked_and_its_49_neighbours_are_handled,
        multi_thread async fn attempts_and_times_of_failures_outlive_a_kill,
    }
}

/// Line 39: `kill -9` while two early messages run and everything behind them is finished: the next process begins with those two, the
/// group's offset is that of the first, and nothing that was finished is repeated.
async fn line_39_a_kill_repeats_what_was_in_flight_and_nothing_that_was_finished_beyond() {
    const ALL: u64 = 3_000;
    const WAITING: [u64; 2] = [10, 700];
    let bench = bench().await;
    let does = |n| {
        if WAITING.contains(&n) {
            job_that("wait", n)
        } else {
            job(n)
        }
    };
    bench.push((0..ALL).map(does)).await;
    let killed = bench.worker(8, 16);
    let all = usize::try_from(ALL).unwrap();
    bench.journal.handled(all - 2, MINUTES).await;
    bench.journal.started(all, PATIENCE).await;
    let (broker, looker) = (bench.broker().await, bench.looker());
    until_length(&broker, &JOBS, 2).await;
    assert_eq!(committed(&looker, 0), Some(10));
    killed.kill();
    assert_eq!(broker.length(&JOBS).await.unwrap(), 2);

    let mut next = bench.worker(8, 16);
    next.go_on();
    bench.journal.handled(all, MINUTES).await;
    until_length(&broker, &JOBS, 0).await;
    assert_eq!(committed(&looker, 0), i64::try_from(ALL).ok());
    next.ends_well().await;
    let again = bench.journal.look(|record| record.started[all..].to_vec());
    assert_eq!(again, WAITING, "in their order, one after the other");
    assert_eq!(
        (
            bench.journal.look(Record::duplicates),
            bench.journal.look(Record::suspects)
        ),
        (0, 2)
    );
    broker.close().await.unwrap();
}

/// One of 50 messages in flight kills its process: it is a dead letter after three deaths, and the others are handled.
async fn a_killer_is_parked_and_its_49_neighbours_are_handled() {
    load::a_killer_is_parked(&bench().await, &[JOBS]).await;
}

/// A process is killed after it has failed one message four times and while it runs another: the next owner of the partition knows
/// the attempts of the one and the death of the other.
async fn attempts_and_times_of_failures_outlive_a_kill() {
    let bench = bench().await;
    bench.push((0..5).map(job).chain([job(FAILING)])).await;
    let killed = bench.process("stubborn 4 8");
    let fails = |record: &Record| record.says("fails 4") > 0;
    bench.journal.until("four failures", MINUTES, fails).await;
    bench.journal.handled(5, PATIENCE).await;
    let broker = bench.broker().await;
    until_length(&broker, &JOBS, 1).await;
    killed.kill();

    let mut jobs = consume(&broker, 4).await;
    let again = next(&mut jobs).await;
    let message = again.message();
    assert_eq!(number_of(&again), FAILING);
    assert!(message.attempt() >= 4, "{message:?}");
    assert!(message.first_failure().is_some(), "{message:?}");
    assert!(message.crashes() <= 1, "{message:?}");
    again.ack().await.unwrap();
    until_length(&broker, &JOBS, 0).await;
    broker.close().await.unwrap();
}
