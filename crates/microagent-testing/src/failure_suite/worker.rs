//! Processes that take jobs out of the queue.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use microagent_core::{
    Agent, Blueprint, Broker, ConsumeOptions, Context, Error, Fields, HandlerFuture, MessageInput,
    MicroAgent, QueueBroker, Result,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

use super::{
    FailureServer, follow_test,
    jobs::{JOBS, consumer_options, set_limits},
    tell,
};

/// The number of counted jobs after which a worker says how many it has counted.
pub const QUIET: u64 = 1000;

/// The pause before the retry that a retrier asks for: the test kills it in that time.
const RETRY: Duration = Duration::from_secs(1);

/// The range of times that a short job takes, in milliseconds.
const TAKES_MS: Range<u64> = 1..30;

/// Plays a part of the suite: `worker CONCURRENCY PREFETCH` handles jobs until SIGTERM, `retrier` asks for one retry and waits to
/// be killed.
///
/// # Errors
/// The driver's, and one for a part that the suite does not have.
pub async fn work<S: FailureServer>(part: &str, address: &str) -> Result<()> {
    let words: Vec<&str> = part.split(' ').collect();
    match words[..] {
        ["worker", concurrency, prefetch] => {
            set_limits(concurrency.parse()?, prefetch.parse()?);
            handle_jobs(S::broker(address).await?).await
        }
        ["retrier"] => retry(S::broker(address).await?).await,
        _ => Err(format!("the suite has no part `{part}`").into()),
    }
}

async fn handle_jobs(broker: impl QueueBroker) -> Result<()> {
    let mut stop = signal(SignalKind::terminate())?;
    let broker = Broker::new(Arc::new(broker));
    let jobber = Jobber {
        going: follow_test(),
        quiet: AtomicU64::default(),
    };
    let agent = Agent::new(jobber).broker(broker.clone()).start().await?;
    tell("works");
    stop.recv().await;
    tell("stops");
    agent.stop().await?;
    broker.close().await
}

/// Asks for a retry of one job, and has the answer before it says so.
async fn retry(broker: impl QueueBroker) -> Result<()> {
    let _test = follow_test();
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await?;
    let job = jobs.next().await.ok_or("a job was to come")?;
    job.retry(RETRY).await?;
    tell("retries");
    std::future::pending().await
}

/// The agent: a job says what to do.
struct Jobber {
    going: watch::Receiver<u32>,
    quiet: AtomicU64,
}

impl MicroAgent for Jobber {
    const NAME: &'static str = "Jobber";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().consumer("handle", JOBS, consumer_options(), handle)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Err(Error::from("a jobber is made by its process"))
    }
}

fn handle(jobber: &Arc<Jobber>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let job = Fields::of(taken.message.payload())?;
    let (n, does): (u64, Option<String>) = (job.get("n")?, job.get_optional("does")?);
    let (jobber, attempt) = (jobber.clone(), taken.message.attempt());
    if taken.message.crashes() > 0 {
        tell(&format!("suspects {n}"));
    }
    Ok(Box::pin(async move {
        match does.as_deref() {
            Some("count") => {
                jobber.count();
                return Ok(());
            }
            does => {
                tell(&format!("started {n}"));
                jobber.act(does, attempt).await?;
            }
        }
        tell(&format!("handled {n}"));
        Ok(())
    }))
}

impl Jobber {
    /// One of very many, which are not told each.
    fn count(&self) {
        let count = self.quiet.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(QUIET) {
            tell(&format!("counts {count}"));
        }
    }

    async fn act(&self, does: Option<&str>, attempt: u32) -> Result<()> {
        match does {
            None => {}
            Some("take") => sleep(Duration::from_millis(fastrand::u64(TAKES_MS))).await,
            Some("wait") => self.wait(1).await?,
            #[expect(clippy::disallowed_methods, reason = "the clause is about this end")]
            Some("abort") => std::process::abort(),
            Some("fail") if attempt == 1 => return Err("it fails the first time".into()),
            Some("fail") => {}
            Some("fail always") => return Err("it fails every time".into()),
            Some(other) if let Some(times) = other.strip_prefix("wait ") => {
                self.wait(times.parse()?).await?;
            }
            Some(other) => return Err(format!("nobody knows how to {other}").into()),
        }
        Ok(())
    }

    /// Until the test has said this often to go on.
    async fn wait(&self, times: u32) -> Result<()> {
        let mut going = self.going.clone();
        let gone = going.wait_for(|count| *count >= times).await;
        gone.map(drop).map_err(|_| "the test has ended".into())
    }
}
