//! Consumers that end under load: killed at random, and restarted as they are meant to be.

use microagent_testing::failure_suite::load;

use crate::bench::{JOBS, SUSPECTS, bench};

microagent_testing::needs! {
    rabbitmq {
        multi_thread async fn consumers_killed_at_random_lose_nothing,
        multi_thread async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing,
    }
}

async fn consumers_killed_at_random_lose_nothing() {
    load::consumers_are_killed_at_random(&bench().await, &[JOBS, SUSPECTS]).await;
}

/// 65. Three consumers are restarted ten times under load: nothing is lost or repeated, and no crash is counted.
async fn line_65_graceful_restarts_under_load_lose_and_repeat_nothing() {
    load::consumers_are_restarted(&bench().await, &[JOBS, SUSPECTS]).await;
}
