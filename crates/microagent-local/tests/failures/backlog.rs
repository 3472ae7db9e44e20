//! Line 15: a large backlog stays in its queue while it is worked off.
//!
//! It is a million in a fast build, and a tenth of that in a slow one, which would need minutes:
//! `cargo test --release -p microagent-local --test failures line_15`

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, JOBS, SOON, job_that, until};
use microagent_testing::failure_suite::{QUIET, Record};

const BACKLOG: u64 = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

const CONCURRENCY: u64 = 8;
const PREFETCH: u64 = 16;

/// The period of the checks of the worker.
const LOOKS: u64 = 4;

/// The number of bytes by which the worker may grow; the bodies are a multiple of that.
const FLAT_KIB: u64 = 8 * 1024;

const MINUTE: Duration = Duration::from_secs(60);

/// 15. Whenever the worker is looked at, no more than its prefetch is out of the queue, and its memory stays flat.
///
/// It is looked at while all its handlers wait for that, at several places of the backlog, so that the numbers are exact.
#[tokio::test(flavor = "multi_thread")]
async fn line_15_a_backlog_stays_in_the_queue() {
    let bench = Bench::new();
    let _host = bench.host().await;
    bench.push((0..BACKLOG).map(backlog_job)).await;
    let mut worker = bench.worker(CONCURRENCY as usize, PREFETCH as usize);
    let mut peaks = Vec::new();
    for look in 0..LOOKS {
        let waiting = usize::try_from((look + 1) * CONCURRENCY).unwrap();
        bench.journal.started(waiting, MINUTE).await;
        let left = BACKLOG - look * BACKLOG / LOOKS - PREFETCH;
        until("the prefetch to be used", SOON, async || {
            bench.length(&JOBS).await <= left
        })
        .await;
        peaks.push(worker.peak_kib());
        assert_eq!(bench.length(&JOBS).await, left, "at look {look}");
        worker.go_on();
    }
    let counts = format!("counts {}", (BACKLOG - LOOKS * CONCURRENCY) / QUIET * QUIET);
    let last = |record: &Record| record.says(&counts) == 1;
    bench.journal.until("the last", MINUTE, last).await;
    peaks.push(worker.peak_kib());
    // The first look was before any work.
    let grown = peaks[peaks.len() - 1] - peaks[1];
    assert!(grown < FLAT_KIB, "{peaks:?} KiB");
}

/// At each place where the worker is looked at, as many jobs wait as it handles at a time; the others are only counted.
fn backlog_job(n: u64) -> Value {
    let apart = BACKLOG / LOOKS;
    if n % apart < CONCURRENCY {
        return job_that(&format!("wait {}", n / apart + 1), n);
    }
    json!({"n": n, "does": "count", "text": "x".repeat(400)})
}
