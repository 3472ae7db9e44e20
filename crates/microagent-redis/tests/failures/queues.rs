//! Lines 1 to 10: what becomes of queue messages whose consumers die, hang or fail.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{Agent, ConsumeOptions, Delivery, QueueBroker, header};
use redis::AsyncCommands;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    bench::{Bench, DEAD, JOBS, LEASE, RECOVERY, bench, job, slow_job, until, within},
    worker::{Jobber, Options, Worker},
};

microagent_testing::needs! {
    redis {
        async fn line_01_a_killed_consumer_loses_nothing,
        async fn line_02_what_was_taken_and_not_started_is_not_lost,
        async fn line_03_a_kill_during_the_drain_loses_nothing,
        async fn line_04_a_kill_during_the_recovery_loses_and_copies_nothing,
        async fn line_05_a_long_handler_is_delivered_once,
        async fn line_06_a_late_ack_cannot_remove_what_another_has,
        async fn line_07_a_killer_is_parked_and_its_neighbours_are_not,
        async fn line_08_what_cannot_be_decoded_is_parked_at_once,
        async fn line_09_a_retry_outlives_the_process_that_asked_for_it,
        async fn line_10_equal_messages_have_attempts_of_their_own,
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// 1. `kill -9` of a consumer with 8 in flight of 10,000: with the default lease all are delivered again within 30 s.
async fn line_01_a_killed_consumer_loses_nothing() {
    let mut bench = bench().await;
    bench.push((0..10_000).map(job)).await;
    let options = Options {
        lease: Duration::from_secs(10),
        ..Options::default()
    };
    let killed = Worker::start(&bench, options);
    bench.wait_for_handled(1000, MINUTE).await;
    killed.kill();
    let in_flight = in_flight(&mut bench).await;
    assert!((1..=8).contains(&in_flight.len()), "{in_flight:?}");

    let _next = Worker::start(&bench, options);
    let killed_at = std::time::Instant::now();
    for lost in &in_flight {
        let mut look = bench.look.clone();
        let left = Duration::from_secs(30).saturating_sub(killed_at.elapsed());
        until("what was in flight to be handled", left, async || {
            look.hexists("handled", *lost).await.unwrap()
        })
        .await;
    }
    bench.wait_for_handled(10_000, MINUTE).await;
    bench.assert_nothing_is_left().await;
    let handled = bench.handled().await;
    let duplicates: u32 = handled.values().map(|times| times - 1).sum();
    assert!(duplicates <= 8, "{duplicates} duplicates");
}

/// The numbers of the jobs that a consumer, the only one, has in flight.
async fn in_flight(bench: &mut Bench) -> Vec<u64> {
    let taken: Vec<String> = bench.look.keys("{jobs}:taken:*").await.unwrap();
    let mut numbers = Vec::new();
    for taken in taken {
        let bodies: Vec<String> = bench.look.hvals(taken).await.unwrap();
        let jobs = bodies
            .iter()
            .map(|body| serde_json::from_str::<serde_json::Value>(body));
        numbers.extend(jobs.map(|job| job.unwrap()["n"].as_u64().unwrap()));
    }
    numbers
}

/// 2. `kill -9` between the move and the handler's start.
async fn line_02_what_was_taken_and_not_started_is_not_lost() {
    let mut bench = bench().await;
    bench.push([slow_job(0, Duration::from_secs(6))]).await;
    bench.push((1..8).map(job)).await;
    let one_by_one = Options {
        concurrency: 1,
        ..Options::default()
    };
    let killed = Worker::start(&bench, one_by_one);
    bench.wait_for_started(1).await;
    let mut look = bench.look.clone();
    until("all to be moved", RECOVERY, async || {
        look.llen::<_, usize>("jobs").await.unwrap() == 0
    })
    .await;
    assert_eq!(in_flight(&mut bench).await.len(), 8);
    killed.kill();
    assert_eq!(bench.started().await, [0]);

    let _next = Worker::start(&bench, Options::default());
    bench.wait_for_handled(8, MINUTE).await;
    assert!(bench.handled().await.values().all(|times| *times == 1));
}

/// 3. SIGTERM, then SIGKILL in the drain.
async fn line_03_a_kill_during_the_drain_loses_nothing() {
    let mut bench = bench().await;
    bench
        .push((0..4).map(|n| slow_job(n, Duration::from_secs(4))))
        .await;
    bench.push((4..30).map(job)).await;
    let options = Options {
        concurrency: 4,
        prefetch: 12,
        ..Options::default()
    };
    let killed = Worker::start(&bench, options);
    bench.wait_for_started(4).await;
    until("the prefetch to be used", RECOVERY, async || {
        in_flight(&mut bench).await.len() == 12
    })
    .await;
    killed.signal(Signal::TERM);
    // A drain begins by giving back what nobody handles yet.
    until("the drain to begin", RECOVERY, async || {
        in_flight(&mut bench).await.len() == 4
    })
    .await;
    killed.kill();
    assert_eq!(
        bench.started().await.len(),
        4,
        "nothing is started in a drain"
    );

    let _next = Worker::start(&bench, options);
    bench.wait_for_handled(30, 3 * RECOVERY).await;
    bench.assert_nothing_is_left().await;
    assert!(bench.handled().await.values().all(|times| *times == 1));
}

/// 4. `kill -9` of the process that recovers another's messages, while the server has its request and has not answered.
async fn line_04_a_kill_during_the_recovery_loses_and_copies_nothing() {
    let mut bench = bench().await;
    bench
        .push((0..200).map(|n| slow_job(n, Duration::from_millis(1))))
        .await;
    let holder = bench.driver().await;
    let mut held = holder
        .consume(&JOBS, ConsumeOptions::with_prefetch(200))
        .await
        .unwrap();
    let mut deliveries = Vec::new();
    while deliveries.len() < 200 {
        deliveries.push(within(RECOVERY, "a job", held.next()).await.unwrap());
    }
    holder.crash();
    std::mem::forget(deliveries);
    for halfway in [4, 5] {
        // It has begun to look for the dead, and is killed at some point of that.
        let recovering = Worker::start(
            &bench,
            Options {
                concurrency: 1,
                prefetch: 1,
                ..Options::default()
            },
        );
        tokio::time::sleep(LEASE.mul_f64(0.3 * f64::from(halfway))).await;
        bench.server.freeze();
        tokio::time::sleep(LEASE.mul_f64(0.4)).await;
        recovering.kill();
        bench.server.thaw();
    }
    let _last = Worker::start(&bench, Options::default());
    bench.wait_for_handled(200, 4 * RECOVERY).await;
    let handled = bench.handled().await;
    let twice = handled.values().filter(|times| **times > 1).count();
    assert!(
        twice <= 2,
        "each of the killed had one in flight, but {twice} came twice"
    );
    assert!((0..200).all(|n| handled.contains_key(&n)));
}

/// 5. A handler that runs 10 times the lease, with its heartbeat alive.
async fn line_05_a_long_handler_is_delivered_once() {
    let mut bench = bench().await;
    let lease = Duration::from_millis(800);
    bench.push([slow_job(0, 10 * lease)]).await;
    let options = Options {
        lease,
        ..Options::default()
    };
    let _workers = [
        Worker::start(&bench, options),
        Worker::start(&bench, options),
    ];
    bench.wait_for_handled(1, 10 * lease + RECOVERY).await;
    bench.assert_nothing_is_left().await;
    assert_eq!(bench.started().await, [0]);
}

/// 6. SIGSTOP past the lease, another takes over, SIGCONT: the late acknowledgement removes nothing.
async fn line_06_a_late_ack_cannot_remove_what_another_has() {
    let mut bench = bench().await;
    bench.push([slow_job(0, LEASE / 2)]).await;
    let stopped = Worker::start(&bench, Options::default());
    bench.wait_for_started(1).await;
    stopped.signal(Signal::STOP);

    let next = bench.driver().await;
    let mut taken = next
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await
        .unwrap();
    let suspect = within(RECOVERY, "the takeover", taken.next())
        .await
        .unwrap();
    assert_eq!(suspect.message().crashes(), 1);
    stopped.signal(Signal::CONT);
    bench.wait_for_handled(1, RECOVERY).await;
    // The first has handled it. When it has ended, it has tried to acknowledge it and has the server's answer.
    stopped.signal(Signal::TERM);
    within(RECOVERY, "the end of the first", stopped.ended()).await;
    assert_eq!(in_flight(&mut bench).await, [0], "the second still has it");
    suspect.ack().await.expect("the second settles it");
    bench.assert_nothing_is_left().await;
}

/// 7. A handler that aborts its process every time: parked after 3 deaths, and its neighbours are handled.
async fn line_07_a_killer_is_parked_and_its_neighbours_are_not() {
    let mut bench = bench().await;
    bench
        .push([
            job(0),
            job(1),
            json!({"n": 2, "aborts": true}),
            job(3),
            job(4),
        ])
        .await;
    for _ in 0..3 {
        let killed = Worker::start(&bench, Options::default());
        let status = within(MINUTE, "the killer's death", killed.ended()).await;
        assert!(!status.success());
    }
    let _last = Worker::start(&bench, Options::default());
    bench.wait_for_handled(4, 2 * RECOVERY).await;
    let dead = bench.dead_letter().await;
    assert_eq!(dead[header::DEAD_REASON], "crash");
    bench.assert_nothing_is_left().await;
    let killed = bench
        .started()
        .await
        .into_iter()
        .filter(|n| *n == 2)
        .count();
    assert_eq!(killed, 3);
}

/// 8. Invalid JSON, broken UTF-8, an array, a wrong type: parked at once with the error, and the consumer goes on.
async fn line_08_what_cannot_be_decoded_is_parked_at_once() {
    let mut bench = bench().await;
    let broken: [&[u8]; 5] = [
        b"{",
        b"[1,2]",
        b"\"\xff\"",
        b"{\"n\":\"seven\"}",
        b"{\"n\":\"\xff\"}",
    ];
    for body in broken {
        let () = bench.look.rpush("jobs", body).await.unwrap();
    }
    bench.push([job(1)]).await;
    let jobber = Jobber::connect(&bench.server.dsn()).await;
    let agent = Agent::new(jobber)
        .broker(bench.broker().await)
        .start()
        .await
        .unwrap();
    bench.wait_for_handled(1, RECOVERY).await;
    let mut look = bench.look.clone();
    until("the dead letters", RECOVERY, async || {
        look.llen::<_, usize>("jobs.dead").await.unwrap() == 5
    })
    .await;
    let mut bodies: Vec<Vec<u8>> = bench.look.lrange("jobs.dead", 0, -1).await.unwrap();
    let mut expected = broken.map(<[u8]>::to_vec);
    bodies.sort();
    expected.sort();
    assert_eq!(bodies, expected, "as they came");
    let dead = bench.dead_letter().await;
    assert_eq!(dead[header::DEAD_REASON], "undecodable", "{dead:?}");
    assert_eq!(dead[header::DEAD_ATTEMPTS], "1");
    agent.stop().await.unwrap();
    bench.assert_nothing_is_left().await;
}

/// 9. `kill -9` during the delay of a retry.
async fn line_09_a_retry_outlives_the_process_that_asked_for_it() {
    let mut bench = bench().await;
    bench.push([json!({"n": 0, "fails": true})]).await;
    let killed = Worker::start(&bench, Options::default());
    let mut look = bench.look.clone();
    until("the retry to wait", RECOVERY, async || {
        look.zcard::<_, usize>("{jobs}:due").await.unwrap() == 1
    })
    .await;
    killed.kill();
    assert_eq!(bench.started().await, [0]);

    let _next = Worker::start(&bench, Options::default());
    bench.wait_for_handled(1, RECOVERY).await;
    assert_eq!(
        bench.started().await,
        [0, 0],
        "the second attempt is the second"
    );
    bench.assert_nothing_is_left().await;
}

/// 10. Two messages of the same bytes, of which one fails.
async fn line_10_equal_messages_have_attempts_of_their_own() {
    let mut bench = bench().await;
    bench.push([job(0), job(0)]).await;
    let broker = bench.driver().await;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(2))
        .await
        .unwrap();
    let mut next = async || within(RECOVERY, "a job", jobs.next()).await.unwrap();
    let (fails, waits): (Delivery, Delivery) = (next().await, next().await);
    fails.retry(Duration::ZERO).await.unwrap();
    let again = next().await;
    assert_eq!(again.message().attempt(), 2);
    again.retry(Duration::ZERO).await.unwrap();
    let third = next().await;
    assert_eq!(
        (third.message().attempt(), waits.message().attempt()),
        (3, 1)
    );
    waits.retry(Duration::ZERO).await.unwrap();
    assert_eq!(next().await.message().attempt(), 2);
    third.dead_letter("enough").await.unwrap();
    assert_eq!(bench.length("jobs.dead").await, 1);
    assert_eq!(broker.length(&DEAD).await.unwrap(), 1);
}
