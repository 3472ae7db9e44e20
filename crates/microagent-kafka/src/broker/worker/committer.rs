//! The thread that waits for commits. The client can only tell a thread that waits for it whether a commit has succeeded:
//! its callback is not called for a commit by hand (rust-rdkafka, issue 856).

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::{Builder, JoinHandle},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use super::{Context, Event, Inbox};

/// The end of the thread of a consumer.
pub(super) struct Committer {
    lists: Sender<TopicPartitionList>,
    thread: JoinHandle<()>,
}

impl Committer {
    pub(super) fn start(
        consumer: Arc<BaseConsumer<Context>>,
        results: Arc<Inbox>,
    ) -> io::Result<Self> {
        let (lists, received) = mpsc::channel();
        let thread = Builder::new()
            .name("kafka commits".to_owned())
            .spawn(move || {
                for list in received {
                    let result = consumer.commit(&list, CommitMode::Sync);
                    // The consumer is there as long as this thread.
                    results.send(Event::Committed(result));
                }
            })?;
        Ok(Self { lists, thread })
    }

    /// Sends a commit. Its result is an event.
    pub(super) fn send(&self, list: TopicPartitionList) {
        // The thread ends only with this sender.
        let _ = self.lists.send(list);
    }

    /// Waits until the last commit has ended.
    pub(super) fn end(self) {
        drop(self.lists);
        // It panics nowhere.
        let _ = self.thread.join();
    }
}
