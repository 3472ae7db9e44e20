//! The setup of all tests: a folder, the process that hosts it, and drivers connected to it.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use futures_util::{StreamExt, future::try_join_all};
use microagent_core::{
    Bus, ConsumeOptions, Delivery, Queue, QueueBroker, Result, Route, SendOptions,
};
use microagent_local::{LocalBroker, LocalBus, LocalOptions};
use microagent_testing::failure_suite::{Journal, Process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{failures::PROGRAM, process::HostLog};

pub(crate) use microagent_testing::failure_suite::{
    SOON, error_of,
    jobs::{DEAD, JOBS},
    until, within,
};

/// A folder, and the journal of its processes.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) journal: Journal,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            journal: Journal::default(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn options(&self) -> LocalOptions {
        LocalOptions::parse(&format!("local:{}", self.folder().display())).unwrap()
    }

    pub(crate) fn start(&self, part: &str) -> Process {
        self.start_in(&[], part, self.folder())
    }

    /// A process that plays a part on a folder, started by these words in front of it.
    pub(crate) fn start_in(&self, wrapper: &[&str], part: &str, folder: &Path) -> Process {
        let played = PROGRAM.command(part, &folder.display().to_string());
        let command = match wrapper {
            [] => played,
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(played.get_program());
                command.args(played.get_args());
                command.envs(
                    played
                        .get_envs()
                        .filter_map(|(name, value)| Some((name, value?))),
                );
                command
            }
        };
        Process::start(command, &self.journal)
    }

    /// A process that hosts and does nothing else; it hosts when this returns.
    pub(crate) async fn host(&self) -> Process {
        let before = self.journal.hosted().len();
        let host = self.start("host");
        self.journal.hosts(before + 1).await;
        host
    }

    /// A process that handles jobs.
    pub(crate) fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        self.start(&format!("worker {concurrency} {prefetch}"))
    }

    /// A connection of its own, from this process.
    pub(crate) async fn broker(&self) -> LocalBroker {
        LocalBroker::connect_apart(&self.options()).await.unwrap()
    }

    /// A bus on a connection of its own.
    pub(crate) async fn bus_driver(&self) -> LocalBus {
        LocalBus::connect_apart(&self.options()).await.unwrap()
    }

    pub(crate) async fn bus(&self) -> Bus {
        Bus::new(Arc::new(self.bus_driver().await))
    }

    /// Puts these jobs into the queue, and leaves the folder.
    pub(crate) async fn push(&self, jobs: impl IntoIterator<Item = Value>) {
        let broker = self.broker().await;
        let jobs: Vec<Value> = jobs.into_iter().collect();
        for jobs in jobs.chunks(4096) {
            let sends = jobs.iter().map(|job| send(&broker, job.to_string()));
            try_join_all(sends).await.unwrap();
        }
        broker.close().await.unwrap();
    }

    /// Returns how many messages wait.
    pub(crate) async fn length(&self, queue: &Queue) -> u64 {
        let broker = self.broker().await;
        let length = broker.length(queue).await.unwrap();
        broker.close().await.unwrap();
        length
    }

    /// Returns how many messages the file contains, waiting, in flight or set aside, when no process has it
    /// open.
    pub(crate) fn stored(&self) -> i64 {
        let file = self.folder().join("queues.sqlite");
        let file = rusqlite::Connection::open(file).unwrap();
        let count = file.query_row("SELECT count(*) FROM message", [], |row| row.get(0));
        count.unwrap()
    }

    /// The headers of the only dead letter.
    pub(crate) async fn dead_letter(&self) -> BTreeMap<String, String> {
        let broker = self.broker().await;
        let messages = broker.peek(&DEAD, 2).await.unwrap();
        broker.close().await.unwrap();
        assert_eq!(messages.len(), 1);
        let headers = messages[0].headers();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        headers.collect()
    }
}

/// The next delivery of a stream.
pub(crate) async fn next(
    deliveries: &mut (impl futures_util::Stream<Item = Delivery> + Unpin),
) -> Delivery {
    within(SOON, "a delivery", deliveries.next()).await.unwrap()
}

/// A job that only reports itself.
pub(crate) fn job(n: u64) -> Value {
    json!({ "n": n })
}

/// A job that does this.
pub(crate) fn job_that(does: &str, n: u64) -> Value {
    json!({ "n": n, "does": does })
}

/// Sends a job, or an invalid one.
pub(crate) async fn send(broker: &LocalBroker, job: impl Into<bytes::Bytes>) -> Result<()> {
    let (to, options) = (Route::from(JOBS), SendOptions::default());
    broker.send(&to, job.into(), options).await
}

pub(crate) fn one_by_one() -> ConsumeOptions {
    ConsumeOptions::with_prefetch(1)
}
