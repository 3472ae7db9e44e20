//! The queue of the tests, and how much of it a process takes.

use std::{sync::OnceLock, time::Duration};

use microagent_core::{ConsumerOptions, Queue};

pub(crate) const JOBS: Queue = Queue::new("jobs");
pub(crate) const DEAD: Queue = Queue::new("jobs.dead");

/// Concurrency and prefetch: options of a type, and here of the process.
static LIMITS: OnceLock<(usize, usize)> = OnceLock::new();

/// Decides them for this process, once.
pub(crate) fn set_limits(concurrency: usize, prefetch: usize) {
    LIMITS.set((concurrency, prefetch)).unwrap();
}

/// The options of a consumer that takes so much, and whose handlers may take their time.
pub(crate) fn consumer_options() -> ConsumerOptions {
    let (concurrency, prefetch) = LIMITS.get().copied().unwrap_or((8, 8));
    ConsumerOptions::default()
        .concurrency(concurrency)
        .prefetch(prefetch)
        .timeout(Duration::from_secs(600))
}
