//! Processes that only these tests need, beside those of the suite.

use std::{sync::Arc, time::Duration};

use microagent_core::{
    Agent, Blueprint, Broker, ConsumerOptions, Context, Error, Fields, HandlerFuture, MessageInput,
    MicroAgent, Result, RetryPolicy,
};
use microagent_testing::failure_suite::{
    FailureServer, follow_test,
    jobs::{JOBS, consumer_options, set_limits},
    tell, work,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::server::Kafka;

/// The job that fails in a process with the part `stubborn`.
pub(crate) const FAILING: u64 = 5;

/// The parts of these tests:
///
/// - `keyed C P` handles jobs with keys and says when each run began and ended;
/// - `stubborn C P` fails one job until the test lets it go on, and gives it up then;
/// - `hurried C P` waits with each job, and no longer than a second after it was asked to stop.
pub(crate) async fn play(part: &str, address: &str) -> Result<()> {
    let words: Vec<&str> = part.split(' ').collect();
    let [kind, concurrency, prefetch] = words[..] else {
        return work::<Kafka>(part, address).await;
    };
    let (kind, grace) = match kind {
        "keyed" => (Kind::Keyed, None),
        "stubborn" => (Kind::Stubborn, None),
        "hurried" => (Kind::Hurried, Some(Duration::from_secs(1))),
        _ => return work::<Kafka>(part, address).await,
    };
    set_limits(concurrency.parse()?, prefetch.parse()?);
    let mut stop = signal(SignalKind::terminate())?;
    let broker = Broker::new(Arc::new(Kafka::broker(address).await?));
    let going = follow_test();
    let mut agent = Agent::new(Special { kind, going }).broker(broker.clone());
    if let Some(grace) = grace {
        agent = agent.grace(grace);
    }
    let agent = agent.start().await?;
    tell("works");
    stop.recv().await;
    // A handler that outlives the grace makes the stop fail; the test looks at its message.
    let _ = agent.stop().await;
    broker.close().await?;
    tell("ends");
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Keyed,
    Stubborn,
    Hurried,
}

struct Special {
    kind: Kind,
    going: watch::Receiver<u32>,
}

impl MicroAgent for Special {
    const NAME: &'static str = "Special";

    fn blueprint() -> Blueprint<Self> {
        // The failing job has as many attempts as it needs.
        let often = RetryPolicy::after(vec![Duration::from_millis(20); 100_000]);
        let options: ConsumerOptions = consumer_options().retry(often);
        Blueprint::new().consumer("handle", JOBS, options, handle)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Err(Error::from("its process makes it"))
    }
}

fn handle(agent: &Arc<Special>, input: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let n: u64 = Fields::of(input.message.payload())?.get("n")?;
    if input.message.crashes() > 0 {
        tell(&format!("suspects {n}"));
    }
    let (agent, attempt) = (agent.clone(), input.message.attempt());
    Ok(Box::pin(async move {
        match agent.kind {
            Kind::Keyed => run(n).await,
            Kind::Stubborn if n == FAILING => return agent.fail(attempt),
            Kind::Stubborn => {}
            Kind::Hurried => agent.wait(n).await?,
        }
        tell(&format!("handled {n}"));
        Ok(())
    }))
}

/// Runs for some milliseconds, and says when. All processes have the same clock.
async fn run(n: u64) {
    let begin = now();
    sleep(Duration::from_millis(fastrand::u64(1..8))).await;
    tell(&format!("ran {n} {begin} {}", now()));
}

/// Returns the nanoseconds since the machine started.
fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

impl Special {
    fn fail(&self, attempt: u32) -> Result<()> {
        if *self.going.borrow() > 0 {
            return Err(Error::terminal("it was given up"));
        }
        if attempt.is_power_of_two() {
            tell(&format!("fails {attempt}"));
        }
        Err("it fails every time".into())
    }

    async fn wait(&self, n: u64) -> Result<()> {
        tell(&format!("started {n}"));
        let mut going = self.going.clone();
        let gone = going.wait_for(|count| *count > 0).await;
        gone.map(drop).map_err(|_| "the test has ended".into())
    }
}
