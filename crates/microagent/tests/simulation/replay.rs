//! A seed replays, and a failure names it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::prelude::*;
use microagent_testing::{Faults, Simulation};
use tokio::time::{Instant, sleep};

use super::{MAILER, ORDERS, Outside, SECOND, bad_day, start_all};

/// Everything that a run did, with its times.
fn trace_of(seed: u64) -> Vec<String> {
    let traced = Arc::new(Mutex::new(Vec::new()));
    let faults = bad_day().skew(2 * SECOND);
    Simulation::new()
        .seeds(seed..seed + 1)
        .faults(faults)
        .run(|group| {
            let traced = Arc::clone(&traced);
            async move {
                let (outside, began) = (Outside::default(), Instant::now());
                start_all(&group, &outside).await?;
                for number in 0..60 {
                    group
                        .broker()
                        .send(ORDERS, &json!({"number": number}))
                        .await?;
                    sleep(SECOND / 10).await;
                }
                group.end_faults().await;
                sleep(120 * SECOND).await;
                let mut trace = group.record();
                trace.extend(outside.read());
                trace.push(format!("{:?}", began.elapsed()));
                *traced.lock().unwrap() = trace;
                Ok(())
            }
        });
    Arc::into_inner(traced).unwrap().into_inner().unwrap()
}

#[test]
fn a_seed_replays_and_another_is_another_story() {
    let mut stories = Vec::new();
    for seed in 0..10 {
        let story = trace_of(seed);
        assert!(story.len() > 150, "a story with faults: {story:?}");
        assert_eq!(trace_of(seed), story, "seed {seed}");
        stories.push(story);
    }
    stories.sort();
    stories.dedup();
    assert_eq!(stories.len(), 10);
}

/// Acknowledges before it has done its work, and forgets what it has not done when it dies: a mistake.
struct Forgetful {
    outside: Outside,
}

#[agent]
impl Forgetful {
    #[consumer(MAILER)]
    async fn send(&self, number: u64) {
        self.outside.write(format!("mail {number}"));
    }

    /// Loses its first order when it is killed in the middle of the second.
    #[consumer(ORDERS, autoack = false)]
    async fn order(&self, delivery: Delivery, number: u64) -> Result<()> {
        delivery.ack().await?;
        sleep(SECOND).await;
        self.outside.write(format!("order {number}"));
        Ok(())
    }
}

fn failure_of(seeds: std::ops::Range<u64>) -> Option<String> {
    let faults = Faults::none().crash_every(20 * SECOND);
    let simulation = Simulation::new().seeds(seeds).faults(faults);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        simulation.run(|group| async move {
            let outside = Outside::default();
            let theirs = outside.clone();
            let forgetful = move || {
                Agent::new(Forgetful {
                    outside: theirs.clone(),
                })
            };
            group.start("forgetful", forgetful).await?;
            for number in 0..10 {
                group
                    .broker()
                    .send(ORDERS, &json!({"number": number}))
                    .await?;
                sleep(2 * SECOND).await;
            }
            group.end_faults().await;
            sleep(10 * SECOND).await;
            let counts = outside.counts();
            for number in 0..10 {
                assert!(
                    counts.contains_key(&format!("order {number}")),
                    "order {number} is lost"
                );
            }
            Ok(())
        });
    }));
    ended
        .err()
        .map(|panic| *panic.downcast::<String>().unwrap())
}

#[test]
fn a_mistake_is_found_and_its_seed_finds_it_again() {
    let found = failure_of(0..50).unwrap();
    let (first, rest) = found.split_once('\n').unwrap();
    assert!(first.ends_with("is lost"), "{first}");
    assert!(rest.contains("forgetful is killed"), "{rest}");
    let seed = first.strip_prefix("seed ").unwrap();
    let seed: u64 = seed.split_once(' ').unwrap().0.parse().unwrap();
    assert!(
        rest.starts_with(&format!("SIMULATION_SEED={seed} runs it alone")),
        "{rest}"
    );
    assert_eq!(failure_of(seed..seed + 1).unwrap(), found);
}

#[test]
fn an_error_and_an_endless_test_fail_with_their_seed() {
    let message = |test: fn() -> futures_util::future::BoxFuture<'static, Result<()>>| {
        let simulation = Simulation::new().seeds(7..8).limit(Duration::from_secs(60));
        let ended = catch_unwind(AssertUnwindSafe(|| simulation.run(|_| test())));
        *ended.unwrap_err().downcast::<String>().unwrap()
    };
    let error = message(|| Box::pin(async { Err("oh".into()) }));
    assert!(
        error.starts_with("seed 7 of the simulation fails: oh\n"),
        "{error}"
    );
    let endless = message(|| Box::pin(std::future::pending()));
    let expected =
        "seed 7 of the simulation fails: the test did not end within 60s of simulated time\n";
    assert!(endless.starts_with(expected), "{endless}");
}

/// The message of a simulation that fails after this handler has run.
fn failure_with(blocking: bool) -> String {
    let simulation = Simulation::new().seeds(7..8);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        simulation.run(|_group| async move {
            if blocking {
                tokio::task::spawn_blocking(|| ()).await.unwrap();
            }
            Err("it fails".into())
        });
    }));
    *ended.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_failure_of_a_run_with_blocking_tasks_says_that_its_seed_may_not_repeat_it() {
    let notice = "a blocking task ran on a thread of its own";
    assert!(!failure_with(false).contains(notice));
    let failure = failure_with(true);
    assert!(failure.contains(notice), "{failure}");
    assert!(failure.contains("SIMULATION_SEED=7"), "{failure}");
}
