//! Lines 20 and 21: receivers that are slow, stopped or broken, and those beside them.

use bytes::Bytes;
use futures_util::StreamExt;
use microagent_core::{BusEvent, Receivers, SignalBus};
use rustix::process::Signal;

use crate::{
    bench::{Bench, SOON, until, within},
    hearer::{LAST, PATTERN},
    journal::Told,
    shared,
};

/// 20. A receiver that cannot keep up: its signals are dropped by its policy and counted, and the others are heard.
#[tokio::test]
async fn f20_a_slow_receiver_drops_its_own() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let publisher = bench.bus_driver().await;
    shared::signals::a_slow_receiver_drops_its_own(bench.bus().await, &publisher).await;
}

/// 20. A process that does not read at all: the others hear everything meanwhile, and it is told how many it missed.
#[tokio::test]
async fn f20_a_stopped_process_keeps_no_signal_from_the_others() {
    const SENT: usize = 600;
    let bench = Bench::new();
    let _host = bench.host().await;
    let stopped = bench.start("hearer");
    let listens = |told: &Told| told.says("listens") == 1;
    bench.journal.until("a hearer", SOON, listens).await;
    let (bus, beside) = (bench.bus_driver().await, bench.bus_driver().await);
    let mut events = beside.subscribe(PATTERN).await.unwrap();

    stopped.stop();
    let body = Bytes::from("x".repeat(100 * 1024));
    for _ in 0..SENT {
        let published = bus.publish("PUBSUB:tick:a", body.clone());
        let heard = within(SOON, "the end of a publish", published).await;
        assert_eq!(heard.unwrap(), Receivers::Counted(2));
        let event = within(SOON, "the signal", events.next()).await;
        assert!(matches!(event, Some(BusEvent::Message(_))), "{event:?}");
    }
    stopped.signal(Signal::CONT);
    until("the end of the stop", SOON, async || {
        bus.publish(LAST, Bytes::new()).await.unwrap();
        bench
            .journal
            .look(|told| number(&told.said, "heard ").is_some())
    })
    .await;
    let (heard, missed) = bench.journal.look(|told| {
        let missed = number(&told.said, "gap: ");
        (number(&told.said, "heard ").unwrap(), missed.unwrap())
    });
    assert!(missed > 0);
    assert!(heard + missed >= SENT, "{heard} heard and {missed} missed");
}

/// The first number in the line that begins so.
fn number(said: &[String], begin: &str) -> Option<usize> {
    let rest = said.iter().find_map(|said| said.strip_prefix(begin))?;
    rest.split(' ').find_map(|word| word.parse().ok())
}

/// 21. A receiver panics: the other receivers, and its own next signals, are unaffected.
#[tokio::test]
async fn f21_a_panic_stays_with_its_handler() {
    let bench = Bench::new();
    let _host = bench.host().await;
    shared::signals::a_panic_stays_with_its_handler(bench.bus().await).await;
}
