//! The queue of the tests, and how much of it a process takes.

use std::{sync::OnceLock, time::Duration};

use microagent_core::{ConsumerOptions, Queue};

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
        .timeout(Duration::from_secs(600))
}
