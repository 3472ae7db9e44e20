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
    Agent, Blueprint, Broker, ConsumeOptions, Context, Error, Fields, Handling, MicroAgent,
    QueueBroker, Result, Taken,
};
use microagent_local::{LocalBroker, LocalOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::{
    journal::tell,
    process::follow_test,
    shared::jobs::{JOBS, consumer_options, set_limits},
};

/// Of how many quiet jobs one is told.
pub(crate) const QUIET: u64 = 1000;

/// How long a job takes that takes a little.
const TAKES_MS: Range<u64> = 1..30;

/// Handles jobs until it is stopped.
pub(crate) async fn work(options: &LocalOptions, limits: (usize, usize)) -> Result<()> {
    set_limits(limits.0, limits.1);
    let mut stop = signal(SignalKind::terminate())?;
    let broker = Broker::new(Arc::new(LocalBroker::connect(options).await?));
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

/// Asks for a retry of one job by hand, and has the answer before it says so.
pub(crate) async fn retry(options: &LocalOptions) -> Result<()> {
    let _test = follow_test();
    let broker = LocalBroker::connect(options).await?;
    let mut jobs = broker
        .consume(&JOBS, ConsumeOptions::with_prefetch(1))
        .await?;
    let job = jobs.next().await.ok_or("a job was to come")?;
    job.retry(Duration::from_secs(1)).await?;
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

fn handle(jobber: &Arc<Jobber>, taken: &mut Taken<'_>) -> Handling<()> {
    let job = Fields::of(taken.message.payload())?;
    let (n, does): (u64, Option<String>) = (job.get("n")?, job.get_optional("does")?);
    let (jobber, attempt) = (jobber.clone(), taken.message.attempt());
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
            Some("abort") => std::process::abort(),
            Some("fail") if attempt == 1 => return Err("it fails the first time".into()),
            Some("fail") => {}
            Some("fail always") => return Err("it fails every time".into()),
            Some(other) if let Some(times) = other.strip_prefix("wait ") => {
                self.wait(times.parse()?).await?
            }
            Some(other) => return Err(format!("nobody knows how to {other}").into()),
        }
        Ok(())
    }

    /// Until the test has said this often to go on.
    async fn wait(&self, times: u32) -> Result<()> {
        let mut going = self.going.clone();
        let gone = going.wait_for(|said| *said >= times).await;
        gone.map(drop).map_err(|_| "the test has ended".into())
    }
}
