//! A process that handles jobs and notes in Redis what it does: over one more connection, so that it is seen while the worker's own
//! connections are disturbed.

use std::{
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent_core::{
    Agent, Blueprint, Broker, Context, Error, Fields, HandlerFuture, MessageInput, MicroAgent,
    Result,
};
use microagent_redis::{RedisBroker, RedisOptions};
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};

use microagent_testing::failure_suite::jobs::{JOBS, consumer_options, set_limits};

use crate::{
    bench::{Bench, LEASE},
    failures::PROGRAM,
};

/// The part that its process plays, before the options.
pub(crate) const PART: &str = "noting worker ";

/// A running worker; it is killed when this is dropped.
pub(crate) struct Worker(Child);

/// The options of a worker.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) lease: Duration,
    pub(crate) concurrency: usize,
    pub(crate) prefetch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lease: LEASE,
            concurrency: 8,
            prefetch: 8,
        }
    }
}

impl Worker {
    pub(crate) fn start(bench: &Bench, options: Options) -> Self {
        Self::start_at(&bench.server.dsn(), options)
    }

    /// Starts one that reaches the server under another address.
    pub(crate) fn start_at(dsn: &str, options: Options) -> Self {
        let Options {
            lease,
            concurrency,
            prefetch,
        } = options;
        let part = format!("{PART}{} {concurrency} {prefetch}", lease.as_millis());
        let child = PROGRAM
            .command(&part, dsn)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let waiting = tokio::task::spawn_blocking(move || self.0.wait());
        waiting.await.unwrap().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the process of a [`Worker`].
pub(crate) async fn work(dsn: &str, options: &str) -> Result<()> {
    crate::bench::log();
    let mut options = options.split(' ').map(|number| number.parse().unwrap());
    let lease = Duration::from_millis(options.next().unwrap());
    let (concurrency, prefetch) = (options.next().unwrap(), options.next().unwrap());
    set_limits(concurrency as usize, prefetch as usize);

    let driver = RedisBroker::connect_with_lease(&RedisOptions::parse(dsn)?, lease).await?;
    let broker = Broker::new(Arc::new(driver));
    let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let jobber = Jobber::connect(dsn).await;
    let agent = Agent::new(jobber).broker(broker.clone()).start().await?;
    stop.recv().await;
    agent.stop().await?;
    broker.close().await
}

/// The agent: a job says what to do.
pub(crate) struct Jobber {
    client: redis::Client,
    connection: Mutex<MultiplexedConnection>,
}

impl Jobber {
    pub(crate) async fn connect(dsn: &str) -> Self {
        let client = redis::Client::open(dsn).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        let connection = Mutex::new(connection);
        Self { client, connection }
    }

    /// Notes what a job does, over another connection where this one was cut: a note may be taken twice, and is never missing.
    async fn note(&self, command: &redis::Cmd) {
        loop {
            let mut connection = self.connection.lock().unwrap().clone();
            if command.query_async::<()>(&mut connection).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Ok(next) = self.client.get_multiplexed_async_connection().await {
                *self.connection.lock().unwrap() = next;
            }
        }
    }
}

impl MicroAgent for Jobber {
    const NAME: &'static str = "Jobber";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().consumer("handle", JOBS, consumer_options(), handle)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Err(Error::from("a jobber is made with a connection"))
    }
}

fn handle(jobber: &Arc<Jobber>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let job = Fields::of(taken.message.payload())?;
    let (n, takes): (u64, Option<u64>) = (job.get("n")?, job.get_optional("ms")?);
    let (aborts, fails): (Option<bool>, Option<bool>) =
        (job.get_optional("aborts")?, job.get_optional("fails")?);
    let (fails_always, blocks): (Option<bool>, Option<u64>) = (
        job.get_optional("fails_always")?,
        job.get_optional("blocks")?,
    );
    let (attempt, jobber) = (taken.message.attempt(), Arc::clone(jobber));
    // A job that blocks does so once: as a suspect it would block the next one for as long.
    let blocks = blocks.filter(|_| taken.message.crashes() == 0);
    Ok(Box::pin(async move {
        jobber.note(&redis::Cmd::rpush("started", n)).await;
        if aborts == Some(true) {
            std::process::abort();
        }
        if fails_always == Some(true) {
            return Err(Error::terminal("it fails always"));
        }
        if let Some(blocks) = blocks {
            std::thread::sleep(Duration::from_millis(blocks));
        }
        if fails == Some(true) && attempt == 1 {
            return Err(Error::from("it fails the first time"));
        }
        tokio::time::sleep(Duration::from_millis(takes.unwrap_or(1))).await;
        jobber.note(&redis::Cmd::hincr("handled", n, 1)).await;
        Ok(())
    }))
}
