//! The bench of a clause: a server, connections to it, and processes that work on it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, future::try_join_all, stream::BoxStream};
use microagent_core::{
    Bus, ConsumeOptions, DeclareOptions, Delivery, LengthCounts, Queue, QueueBroker,
};
use serde_json::Value;

use super::{
    FailureServer, Journal, Process, Program, SOON,
    jobs::{DEAD, JOBS, send_bytes},
    until, within,
};

/// A server under test, and the journal of the processes that work on it.
#[derive(Debug)]
pub struct Bench<S> {
    /// The server.
    pub server: S,
    /// The journal of the processes.
    pub journal: Journal,
    program: Program,
}

impl<S: FailureServer> Bench<S> {
    pub(super) fn new(server: S, program: Program) -> Self {
        Self {
            server,
            journal: Journal::default(),
            program,
        }
    }

    /// Starts a process that handles jobs, with this concurrency and prefetch.
    pub fn worker(&self, concurrency: usize, prefetch: usize) -> Process {
        self.start(&format!("worker {concurrency} {prefetch}"))
    }

    pub(super) fn start(&self, part: &str) -> Process {
        let command = self.program.command(part, &self.server.address());
        Process::start(command, &self.journal)
    }

    /// Opens a broker on a connection of its own.
    pub async fn broker(&self) -> S::Broker {
        S::broker(&self.server.address()).await.expect("a broker")
    }

    /// Opens a bus driver on a connection of its own.
    pub async fn bus_driver(&self) -> S::Bus {
        S::bus(&self.server.address()).await.expect("a bus")
    }

    /// Opens a bus for agents on a connection of its own.
    pub async fn bus(&self) -> Bus {
        Bus::new(Arc::new(self.bus_driver().await))
    }

    /// Sends jobs over a connection that is closed afterwards.
    pub async fn push(&self, jobs: impl IntoIterator<Item = Value>) {
        let broker = self.broker().await;
        declare(&broker).await;
        let jobs: Vec<Value> = jobs.into_iter().collect();
        for jobs in jobs.chunks(1000) {
            let sends = jobs.iter().map(|job| send_bytes(&broker, job.to_string()));
            try_join_all(sends).await.expect("the jobs are sent");
        }
        broker.close().await.expect("a broker that closes");
    }

    /// Returns how many messages wait.
    pub async fn length(&self, queue: &Queue) -> u64 {
        let broker = self.broker().await;
        let length = broker.length(queue).await.expect("a length");
        broker.close().await.expect("a broker that closes");
        length
    }

    /// Waits until this many messages wait.
    pub(super) async fn until_length(&self, queue: &Queue, length: u64) {
        let broker = self.broker().await;
        let what = format!("a length of {length} in {}", queue.name());
        until(&what, SOON, async || {
            broker.length(queue).await.is_ok_and(|it| it == length)
        })
        .await;
        broker.close().await.expect("a broker that closes");
    }

    /// Waits until this many messages are neither handled nor with a consumer.
    pub(super) async fn until_waiting(&self, queue: &Queue, count: u64) {
        let broker = self.broker().await;
        if broker.caps().length == LengthCounts::Waiting {
            self.until_length(queue, count).await;
        } else {
            // Its length counts messages in flight, too.
            let (count, what) = (
                count as usize,
                format!("{count} that wait in {}", queue.name()),
            );
            until(&what, SOON, async || {
                let waiting = broker.peek(queue, count + 1).await;
                waiting.is_ok_and(|waiting| waiting.len() == count)
            })
            .await;
        }
        broker.close().await.expect("a broker that closes");
    }

    /// The bodies of these many dead letters, with their headers.
    pub(super) async fn dead_letters(
        &self,
        count: usize,
    ) -> Vec<(Bytes, BTreeMap<String, String>)> {
        self.until_length(&DEAD, count as u64).await;
        let broker = self.broker().await;
        let options = ConsumeOptions::with_prefetch(count);
        let mut dead = broker.consume(&DEAD, options).await.expect("dead letters");
        let mut letters = Vec::new();
        while letters.len() < count {
            let letter = next(&mut dead).await;
            let message = letter.message();
            let headers = message.headers();
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            letters.push((message.payload().clone(), headers.collect()));
            letter.ack().await.expect("an acknowledgement");
        }
        letters
    }
}

/// The next delivery of a stream.
pub(super) async fn next(deliveries: &mut BoxStream<'static, Delivery>) -> Delivery {
    within(SOON, "a delivery", deliveries.next()).await.unwrap()
}

/// Creates the queue of the jobs, where a queue must exist before a message is sent to it.
pub(super) async fn declare(broker: &impl QueueBroker) {
    let options = DeclareOptions::default();
    broker.declare(&JOBS, &options).await.expect("a queue");
}
