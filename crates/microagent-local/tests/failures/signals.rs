//! Line 20: a receiver whose process stands still, and those beside it.

use bytes::Bytes;
use futures_util::StreamExt;
use microagent_core::{BusEvent, SignalBus, SubscriberCount};
use microagent_testing::failure_suite::Record;
use rustix::process::Signal;

use crate::{
    bench::{Bench, SOON, until, within},
    subscriber::{LAST, PATTERN},
};

/// 20. A process that does not read at all: the others hear everything meanwhile, and it is told how many it missed.
#[tokio::test]
async fn line_20_a_stopped_process_keeps_no_signal_from_the_others() {
    const SENT: usize = 600;
    let bench = Bench::new();
    let _host = bench.host().await;
    let stopped = bench.start("subscriber");
    let listens = |record: &Record| record.says("listens") == 1;
    bench.journal.until("a subscriber", SOON, listens).await;
    let (bus, beside) = (bench.bus_driver().await, bench.bus_driver().await);
    let mut events = beside.subscribe(PATTERN).await.unwrap();

    stopped.stop();
    let body = Bytes::from("x".repeat(100 * 1024));
    for _ in 0..SENT {
        let published = bus.publish("PUBSUB:tick:a", body.clone());
        let received = within(SOON, "the end of a publish", published).await;
        assert_eq!(received.unwrap(), SubscriberCount::Counted(2));
        let event = within(SOON, "the signal", events.next()).await;
        assert!(matches!(event, Some(BusEvent::Message(_))), "{event:?}");
    }
    stopped.signal(Signal::CONT);
    until("the end of the stop", SOON, async || {
        bus.publish(LAST, Bytes::new()).await.unwrap();
        bench
            .journal
            .look(|record| number(&record.lines, "received ").is_some())
    })
    .await;
    let (received, missed) = bench.journal.look(|record| {
        let missed = number(&record.lines, "gap: ");
        (number(&record.lines, "received ").unwrap(), missed.unwrap())
    });
    assert!(missed > 0);
    assert!(
        received + missed >= SENT,
        "{received} received and {missed} missed"
    );
}

/// The first number in the line that begins so.
fn number(lines: &[String], begin: &str) -> Option<usize> {
    let rest = lines.iter().find_map(|line| line.strip_prefix(begin))?;
    rest.split(' ').find_map(|word| word.parse().ok())
}
