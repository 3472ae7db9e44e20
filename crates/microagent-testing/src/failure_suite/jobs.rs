//! The queue of the tests, its jobs, and how much of it a process takes.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use microagent_core::{ConsumerOptions, Delivery, Queue, QueueBroker, Result, Route, SendOptions};
use serde_json::{Value, json};

use super::until;

/// The patience with one event on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The queue of the jobs.
pub const JOBS: Queue = Queue::new("jobs");
/// Their dead letters.
pub const DEAD: Queue = Queue::new("jobs.dead");

/// Concurrency and prefetch: options of a type, and here of the process.
static LIMITS: OnceLock<(usize, usize)> = OnceLock::new();

/// Decides them for this process, once.
///
/// # Panics
/// When they were decided before.
pub fn set_limits(concurrency: usize, prefetch: usize) {
    LIMITS.set((concurrency, prefetch)).unwrap();
}

/// Returns the options of a consumer with these limits, whose handlers may run for minutes.
#[must_use]
pub fn consumer_options() -> ConsumerOptions {
    let (concurrency, prefetch) = LIMITS.get().copied().unwrap_or((8, 8));
    ConsumerOptions::default()
        .concurrency(concurrency)
        .prefetch(prefetch)
        // No handler of these tests takes longer.
        .timeout(Duration::from_secs(3600))
}

/// Returns a job that is told and does nothing else.
#[must_use]
pub fn job(n: u64) -> Value {
    json!({ "n": n })
}

/// Returns a job that does this.
#[must_use]
pub fn job_that(does: &str, n: u64) -> Value {
    json!({ "n": n, "does": does })
}

/// Returns the number of a job.
///
/// # Panics
/// When the message is not a job.
#[must_use]
pub fn number_of(delivery: &Delivery) -> u64 {
    let job: Value = serde_json::from_slice(delivery.message().payload()).unwrap();
    job["n"].as_u64().unwrap()
}

/// Sends a job.
///
/// # Errors
/// Those of the driver.
pub async fn send(broker: &impl QueueBroker, job: Value) -> Result<()> {
    send_bytes(broker, job.to_string()).await
}

/// Sends a job, or something that is not a job.
///
/// # Errors
/// Those of the driver.
pub async fn send_bytes(broker: &impl QueueBroker, job: impl Into<Bytes>) -> Result<()> {
    let (to, options) = (Route::from(JOBS), SendOptions::default());
    broker.send(&to, job.into(), options).await
}

/// Waits until a queue has this length.
///
/// # Panics
/// When it has another one after a minute.
pub async fn until_length(broker: &impl QueueBroker, queue: &Queue, length: u64) {
    let what = format!("{length} messages in `{queue}`");
    until(&what, PATIENCE, async || {
        broker.length(queue).await.is_ok_and(|it| it == length)
    })
    .await;
}
