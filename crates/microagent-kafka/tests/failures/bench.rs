//! The fixture of the tests of Kafka: a server, and processes that work on it.

use futures_util::{StreamExt, future::join_all, stream::BoxStream};
use microagent_core::{ConsumeOptions, Delivery, ErrorKind, QueueBroker, Route, SendOptions};
use microagent_kafka::KafkaBroker;
use microagent_testing::failure_suite::{FailureServer, Journal, Process, load::Workplace};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    groups::GroupList,
};
use serde_json::Value;

pub(crate) use microagent_testing::failure_suite::{
    error_of,
    jobs::{DEAD, JOBS, PATIENCE, job, job_that, number_of, send, send_bytes, until_length},
    load::{CHAOS, MINUTES, SEED},
    number, say, until, within,
};

pub(crate) use crate::support::connect;
use crate::{failures::PROGRAM, server::Kafka};

/// The option of a group whose members are not taken for dead while a busy machine keeps them waiting: for tests in which none dies.
pub(crate) const PATIENT: &str = "&x.session.timeout.ms=45000";

/// A server, and the journal of the processes that work on it.
pub(crate) struct Bench {
    pub(crate) journal: Journal,
    pub(crate) server: Kafka,
    /// The end of the address.
    options: String,
}

/// Takes a server for the test.
pub(crate) async fn bench() -> Bench {
    bench_with("").await
}

/// Takes a server whose address ends with these options.
pub(crate) async fn bench_with(options: &str) -> Bench {
    Bench {
        journal: Journal::default(),
        server: Kafka::take().await.unwrap(),
        options: options.to_owned(),
    }
}

/// The same for a test in which no member dies.
pub(crate) async fn patient_bench(options: &str) -> Bench {
    bench_with(&format!("{options}{PATIENT}")).await
}

impl Bench {
    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.server.address(), self.options)
    }

    /// Starts a process that handles jobs, with this concurrency and prefetch.
    pub(crate) fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        self.process(&format!("worker {concurrency} {prefetch}"))
    }

    /// Starts a process that plays a part.
    pub(crate) fn process(&self, part: &str) -> Process {
        Process::start(PROGRAM.command(part, &self.address()), &self.journal)
    }

    pub(crate) async fn broker(&self) -> KafkaBroker {
        connect(&self.address()).await.unwrap()
    }

    /// Opens a broker whose sends wait as long as a busy machine needs.
    pub(crate) async fn sender(&self) -> KafkaBroker {
        let address = format!("{}&x.message.timeout.ms=120000", self.address());
        connect(&address).await.unwrap()
    }

    /// Sends jobs over a connection that is closed afterwards.
    pub(crate) async fn push(&self, jobs: impl IntoIterator<Item = Value>) {
        let broker = self.sender().await;
        until("the queue", MINUTES, async || {
            let declared = broker.declare(&JOBS, &Default::default()).await;
            declared.is_ok()
        })
        .await;
        let jobs: Vec<Value> = jobs.into_iter().collect();
        for jobs in jobs.chunks(1000) {
            let sends = jobs.iter().map(|job| send_once(&broker, job, None));
            join_all(sends).await;
        }
        broker.close().await.unwrap();
    }

    /// Returns a client of the library in the group of the jobs, which does not join it.
    pub(crate) fn looker(&self) -> BaseConsumer {
        let mut config = self.server.client();
        config.set("group.id", self.server.group());
        config.create().unwrap()
    }

    /// Returns the number of members of the group of the jobs. It blocks.
    pub(crate) fn members(&self, looker: &BaseConsumer) -> usize {
        let found = self.groups(looker);
        let groups = found.groups().iter();
        groups.map(|group| group.members().len()).sum()
    }

    /// Returns true if each member of the group of the jobs has its partitions. It blocks.
    pub(crate) fn is_stable(&self, looker: &BaseConsumer) -> bool {
        let found = self.groups(looker);
        let mut groups = found.groups().iter();
        groups.all(|group| group.state() == "Stable")
    }

    fn groups(&self, looker: &BaseConsumer) -> GroupList {
        let group = self.server.group();
        looker.fetch_group_list(Some(&group), PATIENCE).unwrap()
    }
}

impl Workplace for Bench {
    type Broker = KafkaBroker;

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        self.worker(concurrency, prefetch)
    }

    async fn broker(&self) -> KafkaBroker {
        self.broker().await
    }

    async fn push(&self, jobs: Vec<Value>) {
        self.push(jobs).await;
    }
}

/// Returns the first offset of a partition of the jobs that the group has not finished, as it is committed. It blocks.
pub(crate) fn committed(looker: &BaseConsumer, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition("jobs", partition);
    let found = looker.committed_offsets(list, PATIENCE).unwrap();
    match found.find_partition("jobs", partition).unwrap().offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// Sends a job, with a key or without one. It tries again if a busy server does not say in time where the queue is, and never if the
/// message may have been sent.
pub(crate) async fn send_once(broker: &KafkaBroker, job: &Value, key: Option<String>) {
    let (to, mut options) = (Route::from(JOBS), SendOptions::default());
    options.key = key;
    while let Err(error) = broker
        .send(&to, job.to_string().into(), options.clone())
        .await
    {
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
        assert!(!text.contains("may or may not"), "{text}");
    }
}

pub(crate) async fn consume(broker: &KafkaBroker, prefetch: usize) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(prefetch);
    broker.consume(&JOBS, options).await.unwrap()
}

pub(crate) async fn next(jobs: &mut BoxStream<'static, Delivery>) -> Delivery {
    within(PATIENCE, "a job", jobs.next()).await.unwrap()
}
