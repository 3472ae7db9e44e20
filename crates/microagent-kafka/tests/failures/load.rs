//! Consumers that end under load: killed at random, and restarted as they are meant to be.

use microagent_testing::failure_suite::load;

use crate::bench::{JOBS, bench_with, patient_bench};

microagent_testing::needs! {
    kafka {
        multi_thread async fn consumers_killed_at_random_lose_nothing,
        multi_thread async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing,
    }
}

async fn consumers_killed_at_random_lose_nothing() {
    let bench = bench_with("&partitions=3&x.session.timeout.ms=6000").await;
    load::consumers_are_killed_at_random(&bench, &[JOBS]).await;
}

/// Line 65: Three consumers are restarted ten times under load: nothing is lost or repeated, and no crash is counted.
async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing() {
    let bench = patient_bench("&partitions=3").await;
    load::consumers_are_restarted(&bench, &[JOBS]).await;
}
