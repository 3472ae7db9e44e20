//! The fixture of the tests of RabbitMQ: a server, and processes that work on it.

use std::{
    env,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, future::try_join_all, stream::BoxStream};
use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{ConsumeOptions, Delivery, Queue, QueueBroker, Result, Route, SendOptions};
use microagent_testing::failure_suite::{FailureServer, Journal, Process};
use serde_json::{Value, json};

pub(crate) use microagent_testing::failure_suite::{
    error_of,
    jobs::{DEAD, JOBS},
    kind_of, until, within,
};

use crate::{failures::PROGRAM, server::RabbitMq};

/// The patience with one event on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The patience with everything that a process has to handle.
pub(crate) const MINUTES: Duration = Duration::from_secs(240);

pub(crate) const SUSPECTS: Queue = Queue::new("jobs.suspects");

/// A server, and the journal of the processes that work on it.
pub(crate) struct Bench {
    pub(crate) journal: Journal,
    pub(crate) server: RabbitMq,
    /// The end of the address.
    options: &'static str,
}

/// Takes a server for the test.
pub(crate) async fn bench() -> Bench {
    bench_with("").await
}

/// Takes a server whose address ends with these options.
pub(crate) async fn bench_with(options: &'static str) -> Bench {
    Bench {
        journal: Journal::default(),
        server: RabbitMq::take().await.unwrap(),
        options,
    }
}

impl Bench {
    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.server.address(), self.options)
    }

    /// Starts a process that handles jobs, with this concurrency and prefetch.
    pub(crate) fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        let part = format!("worker {concurrency} {prefetch}");
        Process::start(PROGRAM.command(&part, &self.address()), &self.journal)
    }

    pub(crate) async fn broker(&self) -> AmqpBroker {
        connect(&self.address()).await.unwrap()
    }

    /// Sends jobs over a connection that is closed afterwards.
    pub(crate) async fn push(&self, jobs: impl IntoIterator<Item = Value>) {
        let broker = self.broker().await;
        broker.declare(&JOBS, &Default::default()).await.unwrap();
        let sends = jobs.into_iter().map(|job| send(&broker, job));
        try_join_all(sends).await.unwrap();
        broker.close().await.unwrap();
    }

    pub(crate) async fn until_length(&self, broker: &AmqpBroker, queue: &Queue, length: u64) {
        let what = format!("{length} messages in `{queue}`");
        until(&what, PATIENCE, async || {
            broker.length(queue).await.is_ok_and(|it| it == length)
        })
        .await;
    }

    /// Returns how often jobs were handled more than once.
    pub(crate) fn duplicates(&self) -> u32 {
        self.journal
            .look(|record| record.handled.values().map(|times| times - 1).sum())
    }

    /// Returns for how many deliveries a crash had been counted.
    pub(crate) fn suspects(&self) -> usize {
        self.journal.look(|record| {
            let lines = record.lines.iter();
            lines.filter(|line| line.starts_with("suspects ")).count()
        })
    }
}

pub(crate) async fn connect(address: &str) -> Result<AmqpBroker> {
    AmqpBroker::connect(&AmqpOptions::parse(address)?).await
}

/// Asks a process to stop and waits until it has ended well.
pub(crate) async fn ends_well(worker: Process) {
    worker.terminate();
    assert!(within(PATIENCE, "its end", worker.ended()).await.success());
}

pub(crate) fn job(n: u64) -> Value {
    json!({ "n": n })
}

pub(crate) fn job_that(does: &str, n: u64) -> Value {
    json!({ "n": n, "does": does })
}

pub(crate) async fn send(broker: &AmqpBroker, job: Value) -> Result<()> {
    let (to, options) = (Route::from(JOBS), SendOptions::default());
    broker.send(&to, job.to_string().into(), options).await
}

pub(crate) async fn consume(broker: &AmqpBroker, prefetch: usize) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(prefetch);
    broker.consume(&JOBS, options).await.unwrap()
}

pub(crate) async fn next(jobs: &mut BoxStream<'static, Delivery>) -> Delivery {
    within(PATIENCE, "a job", jobs.next()).await.unwrap()
}

/// The number of a job.
pub(crate) fn number_of(delivery: &Delivery) -> u64 {
    let job: Value = serde_json::from_slice(delivery.message().payload()).unwrap();
    job["n"].as_u64().unwrap()
}

/// The value of a variable that makes a test larger.
pub(crate) fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Figures are shown of each run, also of one that passes.
pub(crate) fn say(line: &str) {
    drop(std::io::stderr().write_all(format!("\n{line}\n").as_bytes()));
}

/// The log of a test of one thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Records until the guard is dropped.
    pub(crate) fn record(&self) -> tracing::subscriber::DefaultGuard {
        // Without a global subscriber, an event that another thread reaches first can stay off for all threads.
        let all = tracing_subscriber::fmt().with_test_writer();
        // Another test of the process may have done it.
        let _ = all.with_max_level(tracing::Level::INFO).try_init();
        let log = self.clone();
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(log.finish())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
