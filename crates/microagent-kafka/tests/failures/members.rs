//! Members of a group that come and go, and a member that is busy for long.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all};
use microagent_core::{ErrorKind, QueueBroker};
use microagent_testing::failure_suite::Record;
use tokio::time::{sleep, timeout};

use crate::bench::{
    Bench, CHAOS, JOBS, MINUTES, PATIENCE, SEED, bench_with, consume, error_of, job, job_that,
    next, number, number_of, patient_bench, say, send_once, until, until_length, within,
};

microagent_testing::needs! {
    kafka {
        multi_thread async fn line_41_a_partition_moves_when_what_runs_of_it_is_finished,
        multi_thread async fn line_41_a_late_settlement_of_a_lost_partition_changes_nothing,
        multi_thread async fn a_member_without_partitions_leaves_the_group_when_it_ends,
        multi_thread async fn line_42_members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys,
        multi_thread async fn line_43_a_handler_that_takes_long_keeps_its_partition,
    }
}

/// Waits until the group has this many members.
async fn until_members(bench: &Bench, count: usize) {
    let looker = bench.looker();
    until("the members of the group", PATIENCE, async || {
        bench.members(&looker) == count
    })
    .await;
}

/// Line 41: A second member comes while the first has work in flight: a partition moves after what runs of it is finished and committed,
/// so nothing runs twice.
async fn line_41_a_partition_moves_when_what_runs_of_it_is_finished() {
    let bench = patient_bench("&partitions=4").await;
    bench.push((0..16).map(|n| job_that("wait", n))).await;
    let mut first = bench.worker(16, 16);
    bench.journal.started(16, MINUTES).await;
    let mut second = bench.worker(16, 16);
    until_members(&bench, 2).await;
    first.go_on();
    second.go_on();
    bench.journal.handled(16, PATIENCE).await;
    bench.push((16..200).map(|n| job_that("take", n))).await;
    bench.journal.handled(200, MINUTES).await;
    let started = bench.journal.look(|record| record.started.len());
    assert_eq!((started, bench.journal.look(Record::suspects)), (200, 0));
    first.ends_well().await;
    second.ends_well().await;
    let broker = bench.broker().await;
    assert_eq!(broker.length(&JOBS).await.unwrap(), 0);
    broker.close().await.unwrap();
}

/// Line 41: Handlers do not finish within the grace: the partition moves, its messages are delivered again, and the late settlements of
/// the first owner are refused and finish nothing.
async fn line_41_a_late_settlement_of_a_lost_partition_changes_nothing() {
    const ALL: usize = 8;
    let bench = patient_bench("&partitions=2").await;
    bench.push([]).await;
    let (first, second) = (bench.broker().await, bench.broker().await);
    let sender = bench.sender().await;
    for n in 0..ALL as u64 {
        send_once(&sender, &job(n), Some(format!("key {n}"))).await;
    }
    let mut jobs = consume(&first, ALL).await;
    let mut held = Vec::new();
    while held.len() < ALL {
        held.push(next(&mut jobs).await);
    }
    let mut others = consume(&second, ALL).await;
    let mut again = vec![next(&mut others).await];
    // Those of one partition come at once.
    while let Ok(Some(delivery)) = timeout(Duration::from_secs(3), others.next()).await {
        again.push(delivery);
    }
    assert!(again.len() < ALL, "one partition stays");
    for delivery in &again {
        let message = delivery.message();
        assert_eq!((message.attempt(), message.crashes()), (1, 0));
    }
    let moved: Vec<_> = again.iter().map(number_of).collect();
    for late in held {
        let n = number_of(&late);
        let settled = within(PATIENCE, "an answer", late.ack()).await;
        if moved.contains(&n) {
            let error = error_of(settled);
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains("again"), "{error}");
        } else {
            settled.unwrap();
        }
    }
    let left = u64::try_from(again.len()).unwrap();
    until_length(&first, &JOBS, left).await;
    for delivery in again {
        delivery.ack().await.unwrap();
    }
    until_length(&first, &JOBS, 0).await;
    sender.close().await.unwrap();
    first.close().await.unwrap();
    second.close().await.unwrap();
}

/// The option of a group that waits for a member that ends without leaving it until the test has failed.
const NO_LEAVER: &str = "&x.session.timeout.ms=300000";

/// A second member has no partition, as there is only one, and ends: it leaves the group at once.
async fn a_member_without_partitions_leaves_the_group_when_it_ends() {
    let bench = bench_with(NO_LEAVER).await;
    bench.push([]).await;
    let (first, second) = (bench.broker().await, bench.broker().await);
    let mut jobs = consume(&first, 1).await;
    send_once(&first, &job(1), None).await;
    next(&mut jobs).await.ack().await.unwrap();
    let others = consume(&second, 1).await;
    let looker = bench.looker();
    until("a stable group of two", PATIENCE, async || {
        bench.members(&looker) == 2 && bench.is_stable(&looker)
    })
    .await;
    drop(others);
    second.close().await.unwrap();
    until_members(&bench, 1).await;
    send_once(&first, &job(2), None).await;
    next(&mut jobs).await.ack().await.unwrap();
    first.close().await.unwrap();
    until_members(&bench, 0).await;
}

const KEYS: u64 = 50;
const MOST_MEMBERS: usize = 4;

/// Line 42: Members come and go at random, at least every 500 ms, while keyed messages are sent: every message is handled, the messages of
/// one key in their order, and less than 5 % of them twice.
async fn line_42_members_that_come_and_go_lose_nothing_and_keep_the_order_of_keys() {
    let bench = bench_with(&format!("&partitions=6{NO_LEAVER}")).await;
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    say(&format!("{SEED}={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let lasts = number(CHAOS).unwrap_or(12);
    // 20,000 in a minute.
    let each = lasts * 20_000 / 60 / KEYS;
    let all = usize::try_from(each * KEYS).unwrap();
    bench.push([]).await;
    let sending = tokio::spawn(send_in_order(bench.sender().await, each, lasts));
    let member = || bench.process("keyed 8 16");
    let (mut members, mut leaving) = (vec![member()], Vec::new());
    let (begun, mut changes) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(lasts) {
        sleep(Duration::from_millis(random.u64(100..=500))).await;
        let comes = members.len() < MOST_MEMBERS && random.bool();
        if comes || members.len() == 1 {
            members.push(member());
        } else {
            let gone = members.swap_remove(random.usize(..members.len()));
            gone.terminate();
            leaving.push(gone);
        }
        changes += 1;
    }
    sending.await.unwrap();
    bench.journal.handled(all, MINUTES).await;
    let handled = begun.elapsed();
    for member in members {
        member.ends_well().await;
    }
    for member in leaving {
        // One that was asked before it could listen ends by the signal.
        within(MINUTES, "its end", member.ended()).await;
    }
    let (duplicates, suspects) = (
        bench.journal.look(Record::duplicates),
        bench.journal.look(Record::suspects),
    );
    say(&format!(
        "{all} keyed messages, {changes} changes of members in {lasts} s: 0 lost, {duplicates} handled again, {suspects} suspects, all handled after {handled:?}"
    ));
    bench.journal.look(every_key_is_handled_in_order);
    assert!(f64::from(duplicates) < 0.05 * all as f64);
    let broker = bench.broker().await;
    until_length(&broker, &JOBS, 0).await;
    broker.close().await.unwrap();
}

/// Sends so many messages of each key, spread over the time. The number of a message is its place in its key, times the number of keys,
/// and that of its key.
async fn send_in_order(broker: microagent_kafka::KafkaBroker, each: u64, seconds: u64) {
    let pause = Duration::from_secs(seconds) / u32::try_from(each).unwrap();
    for place in 0..each {
        let sends = (0..KEYS).map(async |key| {
            let n = place * KEYS + key;
            send_once(&broker, &job(n), Some(format!("key {key}"))).await;
        });
        join_all(sends).await;
        sleep(pause).await;
    }
    broker.close().await.unwrap();
}

/// Each run of a message began after a run of the one before it had ended.
fn every_key_is_handled_in_order(record: &Record) {
    let mut first_end = BTreeMap::<u64, i64>::new();
    let runs = record.lines.iter().filter_map(|line| {
        let mut words = line.strip_prefix("ran ")?.split(' ');
        let n: u64 = words.next()?.parse().ok()?;
        Some((n, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    let runs: Vec<(u64, i64, i64)> = runs.collect();
    for (n, _, end) in &runs {
        let first = first_end.entry(*n).or_insert(*end);
        *first = (*first).min(*end);
    }
    for (n, begin, _) in runs {
        if let Some(before) = n.checked_sub(KEYS) {
            let end = first_end.get(&before);
            assert!(
                end.is_some_and(|end| *end <= begin),
                "{n} ran before {before}, which has the same key"
            );
        }
    }
}

/// The seconds that the handler of line 43 takes.
const HANDLER: &str = "MICROAGENT_TEST_HANDLER";

/// Line 43: A handler runs for longer than three times `max.poll.interval.ms`, and a second member comes meanwhile: the message stays where
/// it is, and is handled once.
async fn line_43_a_handler_that_takes_long_keeps_its_partition() {
    let options = "&x.max.poll.interval.ms=6000&x.session.timeout.ms=6000";
    let bench = bench_with(options).await;
    bench.push([job_that("wait", 0)]).await;
    let mut busy = bench.worker(1, 1);
    bench.journal.started(1, MINUTES).await;
    let idle = bench.worker(1, 1);
    until_members(&bench, 2).await;
    sleep(Duration::from_secs(number(HANDLER).unwrap_or(19))).await;
    assert_eq!(bench.journal.look(|record| record.started.clone()), [0]);
    busy.go_on();
    bench.journal.handled(1, PATIENCE).await;
    let broker = bench.broker().await;
    until_length(&broker, &JOBS, 0).await;
    bench.push((1..20).map(job)).await;
    bench.journal.handled(20, PATIENCE).await;
    let started = bench.journal.look(|record| record.started.len());
    assert_eq!((started, bench.journal.look(Record::suspects)), (20, 0));
    busy.ends_well().await;
    idle.ends_well().await;
    broker.close().await.unwrap();
}
