//! A process that sends jobs, each once, at a steady pace.

use std::time::Duration;

use futures_util::future::join_all;
use microagent_core::{QueueBroker, Result};
use microagent_local::{LocalBroker, LocalOptions};
use microagent_testing::failure_suite::{follow_test, tell};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::bench::{job_that, send};

/// This many jobs, this often.
const AT_ONCE: u64 = 5;
const PACE: Duration = Duration::from_millis(25);

/// Of the jobs from this number on, one of so many fails every time.
pub(crate) const SOME_FAIL: u64 = 1_000_000_000;
const FAILING: u64 = 400;

/// Returns whether this job fails every time.
pub(crate) fn fails(n: u64) -> bool {
    n >= SOME_FAIL && n % FAILING == FAILING - 1
}

/// Sends jobs that take a little, numbered from this one, until it is stopped. A job that was not confirmed is
/// not sent again, so that each job is in the queue at most once.
pub(crate) async fn send_jobs(options: &LocalOptions, first: u64) -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let _test = follow_test();
    let broker = LocalBroker::connect(options).await?;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tell("sends");
    for next in (first..).step_by(usize::try_from(AT_ONCE)?) {
        tokio::select! {
            _ = stop.recv() => break,
            _ = pace.tick() => {}
        }
        let sends = (next..next + AT_ONCE).map(async |n| {
            let does = if fails(n) { "fail always" } else { "take" };
            if send(&broker, job_that(does, n).to_string()).await.is_ok() {
                tell(&format!("sent {n}"));
            }
        });
        join_all(sends).await;
    }
    broker.close().await
}
