//! Line 28: how a waiter ends when one of its responders dies.

use std::time::Duration;

use microagent_core::{RunningAgent, WaiterEnd};
use microagent_testing::failure_suite::{
    Record,
    agents::{AtTick, Listener, Tick},
    calls,
};

use crate::bench::{Bench, SOON, within};

/// 28. A waiter with three responders, of which one is killed: two answers, and an end that says how many are missing.
#[tokio::test]
async fn line_28_a_waiter_says_how_many_are_missing() {
    let bench = Bench::new();
    let _host = bench.host().await;
    let caller = bench.bus().await;
    let _responders = [answering(&bench).await, answering(&bench).await];
    let dying = bench.start("subscriber");
    let says = |word| move |record: &Record| record.says(word) == 1;
    bench
        .journal
        .until("a subscriber", SOON, says("listens"))
        .await;
    let waiter = caller.waiter("a", Tick { n: 7 });
    let mut answers = waiter.timeout(Duration::from_secs(3)).await.unwrap();
    bench
        .journal
        .until("the call", SOON, says("receives"))
        .await;
    dying.kill();
    for _ in 0..2 {
        let answer = within(SOON, "an answer", answers.next()).await.unwrap();
        assert_eq!(answer.one::<u64>().unwrap(), 7);
    }
    assert!(within(SOON, "the end", answers.next()).await.is_none());
    let missing = WaiterEnd::Deadline { missing: Some(1) };
    assert_eq!(answers.end(), Some(&missing));
}

async fn answering(bench: &Bench) -> RunningAgent<Listener> {
    calls::respond(AtTick::Answers, bench.bus().await).await
}
