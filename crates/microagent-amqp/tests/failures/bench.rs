//! The fixture of the tests of RabbitMQ: a server, and processes that work on it.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use futures_util::{StreamExt, future::try_join_all, stream::BoxStream};
use microagent_amqp::{AmqpBroker, AmqpOptions};
use microagent_core::{ConsumeOptions, Delivery, Queue, QueueBroker, Result};
use microagent_testing::failure_suite::{FailureServer, Journal, Process, load::Workplace};
use serde_json::Value;

pub(crate) use microagent_testing::failure_suite::{
    error_of,
    jobs::{DEAD, JOBS, PATIENCE, job, job_that, number_of, send, until_length},
    kind_of,
    load::MINUTES,
    number, say, until, within,
};

use crate::{failures::PROGRAM, server::RabbitMq};

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
}

impl Workplace for Bench {
    type Broker = AmqpBroker;

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        self.worker(concurrency, prefetch)
    }

    async fn broker(&self) -> AmqpBroker {
        self.broker().await
    }

    async fn push(&self, jobs: Vec<Value>) {
        self.push(jobs).await;
    }
}

pub(crate) async fn connect(address: &str) -> Result<AmqpBroker> {
    AmqpBroker::connect(&AmqpOptions::parse(address)?).await
}

pub(crate) async fn consume(broker: &AmqpBroker, prefetch: usize) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(prefetch);
    broker.consume(&JOBS, options).await.unwrap()
}

pub(crate) async fn next(jobs: &mut BoxStream<'static, Delivery>) -> Delivery {
    within(PATIENCE, "a job", jobs.next()).await.unwrap()
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
