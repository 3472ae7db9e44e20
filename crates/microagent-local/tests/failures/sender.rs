//! A process that sends jobs, each once, at a steady pace.

use std::time::Duration;

use futures_util::future::join_all;
use microagent_core::{QueueBroker, Result};
use microagent_local::{LocalBroker, LocalOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    bench::{job_that, send},
    journal::tell,
    process::follow_test,
};

/// This many jobs, this often.
const AT_ONCE: u64 = 10;
const PACE: Duration = Duration::from_millis(25);

/// Sends jobs that take a little, numbered from this one on, until it is stopped. What was not confirmed is not sent again, so
/// that each job is in the queue at most once.
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
            if send(&broker, job_that("take", n).to_string()).await.is_ok() {
                tell(&format!("sent {n}"));
            }
        });
        join_all(sends).await;
    }
    broker.close().await
}
