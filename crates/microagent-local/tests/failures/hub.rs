//! Tests of a folder whose host dies, is stopped, has rivals, or loses its files.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use microagent_core::{BusEvent, ErrorKind, QueueBroker, SignalBus};
use microagent_testing::failure_suite::{Process, Record};
use rustix::process::Signal;

use crate::{
    bench::{Bench, JOBS, SOON, error_of, job, next, one_by_one, send, until, within},
    process::HostLog,
};

/// The host is killed: another takes over, sends wait for it, what was in flight comes again and is not suspected.
#[tokio::test]
async fn the_host_dies_and_another_takes_over() {
    let bench = Bench::new();
    let host = bench.host().await;
    let (broker, bus) = (bench.broker().await, bench.bus_driver().await);
    let mut jobs = broker.consume(&JOBS, one_by_one()).await.unwrap();
    let mut events = bus.subscribe("PUBSUB:tick:*").await.unwrap();
    send(&broker, job(0).to_string()).await.unwrap();
    let taken = next(&mut jobs).await;

    host.kill();
    let killed = Instant::now();
    let late = error_of(taken.ack().await);
    assert_eq!(late.kind(), ErrorKind::Unavailable, "{late}");
    // A client that knows of the death waits for the next host, and gets no error.
    send(&broker, job(1).to_string()).await.unwrap();
    let interrupted = killed.elapsed();
    assert!(interrupted < Duration::from_secs(5), "{interrupted:?}");
    let again = next(&mut jobs).await;
    let message = again.message();
    assert_eq!(*message.payload(), job(0).to_string());
    assert_eq!((message.attempt(), message.crashes()), (1, 0));
    again.ack().await.unwrap();
    next(&mut jobs).await.ack().await.unwrap();
    let lost = within(SOON, "the loss", events.next()).await;
    assert!(matches!(lost, Some(BusEvent::Lost(_))), "{lost:?}");
    let gap = within(SOON, "the gap", events.next()).await;
    assert!(matches!(gap, Some(BusEvent::Gap(_))), "{gap:?}");
    for state in [broker.connection(), bus.connection()] {
        let state = state.unwrap();
        assert_eq!((state.up, state.reconnects), (true, 1), "{state:?}");
        assert!(state.last_error.is_some(), "{state:?}");
    }
}

/// The host is stopped and keeps the lock: clients get an error in time, no other process hosts, and all
/// continue when the host does.
#[tokio::test]
async fn a_stopped_host_is_told_and_not_replaced() {
    let bench = Bench::new();
    let host = bench.host().await;
    let connected = bench.broker().await;
    send(&connected, job(0).to_string()).await.unwrap();
    host.stop();

    // A process that comes meanwhile starts, and works as soon as there is a hub.
    let worker = bench.worker(8, 8);
    let coming = within(SOON, "a connection that keeps trying", bench.broker()).await;
    let error = error_of(within(SOON, "an error", send(&coming, "{}")).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains("within 5 s, nothing was sent"), "{text}");

    // One that was connected does not know it at once, nor whether what it said has arrived.
    let patience = Duration::from_secs(30);
    let error = error_of(within(patience, "an error", send(&connected, "{}")).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains("silent for 20 s; not confirmed"), "{text}");
    for (broker, reason) in [(&connected, "silent for 20 s"), (&coming, "did not answer")] {
        until(
            "the reason in the state of the connection",
            SOON,
            async || {
                let error = broker.connection().unwrap().last_error;
                error.is_some_and(|error| error.contains(reason))
            },
        )
        .await;
        let state = broker.connection().unwrap();
        assert_eq!((state.up, state.reconnects), (false, 0), "{state:?}");
    }

    host.signal(Signal::CONT);
    for broker in [&connected, &coming] {
        until("the hub to answer", SOON, async || {
            send(broker, job(1).to_string()).await.is_ok()
        })
        .await;
    }
    bench.journal.handled(2, SOON).await;
    assert_eq!(bench.journal.hosted(), [host.id()]);
    worker.signal(Signal::TERM);
    assert!(worker.ended().await.success());
}

/// The host is stopped and goes on: those who lived meanwhile are not taken for dead, and what they had is not suspected.
#[tokio::test]
async fn a_host_that_was_stopped_suspects_nobody_who_lived() {
    let bench = Bench::new();
    let host = bench.host().await;
    let broker = bench.broker().await;
    let mut jobs = broker.consume(&JOBS, one_by_one()).await.unwrap();
    send(&broker, job(0).to_string()).await.unwrap();
    let taken = next(&mut jobs).await;
    host.stop();
    let patience = Duration::from_secs(30);
    let error = error_of(within(patience, "an error", send(&broker, "{}")).await);
    assert!(error.to_string().contains("silent for 20 s"), "{error}");

    host.signal(Signal::CONT);
    let again = next(&mut jobs).await;
    assert_eq!(again.message().payload(), taken.message().payload());
    assert_eq!(
        (again.message().attempt(), again.message().crashes()),
        (1, 0)
    );
    assert_eq!(error_of(taken.ack().await).kind(), ErrorKind::Unavailable);
    again.ack().await.unwrap();
}

/// Processes start at once: one of them hosts, all of them work, and when it dies it is one again.
#[tokio::test]
async fn of_those_who_race_one_hosts_and_all_work() {
    let bench = Bench::new();
    let mut workers: Vec<Process> = (0..8).map(|_| bench.worker(1, 1)).collect();
    let ready = |record: &Record| record.says("works") == 8;
    bench.journal.until("all of them", SOON, ready).await;
    for times in 1..=4 {
        let host = bench.journal.hosts(times).await;
        let handled = bench.journal.look(|record| record.handled.len()) as u64;
        bench.push((handled..handled + 50).map(job)).await;
        let all = usize::try_from(handled).unwrap() + 50;
        bench.journal.handled(all, SOON).await;
        let hosts = bench.journal.hosted().len();
        assert_eq!(hosts, times, "one host at a time");
        let host = workers.iter().position(|worker| worker.id() == host);
        workers.remove(host.unwrap()).kill();
    }
}

/// Somebody removes the socket: those who are connected do not notice, and new ones get in again.
#[tokio::test]
async fn a_socket_that_is_removed_is_made_again() {
    let bench = Bench::new();
    let host = bench.host().await;
    let connected = bench.broker().await;
    fs::remove_file(bench.folder().join("hub.sock")).unwrap();
    send(&connected, job(0).to_string()).await.unwrap();

    let worker = bench.worker(1, 1);
    bench.journal.handled(1, SOON).await;
    let again = |record: &Record| record.logs("the hub's socket was removed or replaced");
    bench.journal.until("a warning", SOON, again).await;
    send(&connected, job(1).to_string()).await.unwrap();
    bench.journal.handled(2, SOON).await;
    assert_eq!(bench.journal.hosted(), [host.id()]);
    drop(worker);
}

/// Somebody removes the lock, which would let a second hub begin: the first one ends, and nothing is lost.
#[tokio::test]
async fn a_host_whose_lock_is_removed_makes_room() {
    let bench = Bench::new();
    let workers = [bench.worker(4, 4), bench.worker(4, 4)];
    let ready = |record: &Record| record.says("works") == 2;
    bench.journal.until("the workers", SOON, ready).await;
    bench.push((0..100).map(job)).await;
    fs::remove_file(bench.folder().join("lock")).unwrap();
    bench.journal.hosts(2).await;
    let record = |record: &Record| record.logs("was removed or replaced while it was in use");
    bench
        .journal
        .until("an error in the log", SOON, record)
        .await;
    bench.push((100..200).map(job)).await;
    bench.journal.handled(200, SOON).await;
    for worker in workers {
        worker.signal(Signal::TERM);
        assert!(worker.ended().await.success());
    }
    assert_eq!(bench.stored(), 0);
}

/// Somebody removes the whole folder: nothing is confirmed that is nowhere, and a folder that is there again is used.
#[tokio::test]
async fn a_folder_that_is_removed_is_told_and_used_when_it_is_back() {
    let bench = Bench::new();
    let broker = bench.broker().await;
    send(&broker, job(0).to_string()).await.unwrap();
    fs::remove_dir_all(bench.folder()).unwrap();
    until("an error that names the folder", SOON, async || {
        let refused = send(&broker, "{}").await;
        refused.is_err_and(|error| error.to_string().contains("lock: cannot be opened"))
    })
    .await;

    fs::create_dir(bench.folder()).unwrap();
    until("a hub", SOON, async || broker.length(&JOBS).await.is_ok()).await;
    assert_eq!(broker.length(&JOBS).await.unwrap(), 0);
    send(&broker, job(1).to_string()).await.unwrap();
    broker.close().await.unwrap();
    assert_eq!(bench.stored(), 1);
}
