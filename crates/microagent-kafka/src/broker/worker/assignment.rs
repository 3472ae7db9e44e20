//! Partitions that a consumer gets: the queues of the client, and their progress.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, base_consumer::PartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{Context, Event, Partition, Worker, context};
use crate::{
    Tracker,
    error::{error_of, unavailable},
};

/// The longest time that one question for the progress waits for its answer.
const PROGRESS: Duration = Duration::from_secs(5);

/// The longest time that the thread waits until the client begins at another offset.
const SEEK: Duration = Duration::from_secs(2);

/// A partition whose progress is not read yet.
pub(super) struct Assigned {
    queue: PartitionQueue<Context>,
    /// When the progress is asked for. Later after each failure.
    ask_at: Instant,
}

impl Worker {
    /// Takes partitions that the group gives to this consumer. Their messages wait in queues of their own, which
    /// are read if there is room. The client keeps such a queue only if it is made before the partition is taken.
    pub(super) fn accept(&mut self, ids: &[i32]) {
        self.commits.is_member();
        let mut list = TopicPartitionList::new();
        for id in ids {
            list.add_partition(&self.setup.name, *id);
            let split = self.consumer.split_partition_queue(&self.setup.name, *id);
            let Some(mut queue) = split else {
                self.complain(&unavailable(format!(
                    "the client has no queue for partition {id}"
                )));
                continue;
            };
            let waking = Arc::clone(&self.setup.inbox);
            queue.set_nonempty_callback(move || waking.wake());
            let ask_at = Instant::now();
            self.assigned.insert(*id, Assigned { queue, ask_at });
        }
        if let Err(error) = context::give(&self.consumer, &list) {
            self.complain(&error_of(&error));
        }
    }

    /// Asks for the progress of new partitions, on another thread, as it takes as long as the server is away.
    pub(super) fn ask_for_progress(&mut self) {
        let now = Instant::now();
        if self.asks_for_progress || !self.assigned.values().any(|it| it.ask_at <= now) {
            return;
        }
        self.asks_for_progress = true;
        let ids: Vec<_> = self.assigned.keys().copied().collect();
        let (consumer, name) = (Arc::clone(&self.consumer), Arc::clone(&self.setup.name));
        let inbox = Arc::clone(&self.setup.inbox);
        self.setup.runtime.spawn_blocking(move || {
            let progress = progress(&consumer, &name, &ids, PROGRESS);
            // The client must not end here.
            drop(consumer);
            inbox.send(Event::Progress(progress.map_err(|error| error_of(&error))));
        });
    }

    /// Takes the progress of partitions that were not revoked meanwhile.
    pub(super) fn restore(
        &mut self,
        progress: Result<BTreeMap<i32, Tracker>, microagent_core::Error>,
    ) {
        self.asks_for_progress = false;
        let trackers = match progress {
            Ok(trackers) => trackers,
            Err(error) => {
                let ask_at = Instant::now() + self.outage.pause();
                self.assigned.values_mut().for_each(|it| it.ask_at = ask_at);
                return self.complain(&error);
            }
        };
        for (id, tracker) in trackers {
            if let Some(Assigned { queue, .. }) = self.assigned.remove(&id) {
                self.epoch += 1;
                let partition = Partition::new(id, self.epoch, tracker, queue);
                self.partitions.insert(id, partition);
            }
        }
    }

    /// Tells the client where to begin, if it did not begin at the first unfinished message.
    pub(super) fn seek(&mut self) {
        let mut errors = Vec::new();
        for partition in self.partitions.values_mut() {
            let Some(offset) = partition.to_seek() else {
                continue;
            };
            let offset = Offset::Offset(offset);
            match self
                .consumer
                .seek(&self.setup.name, partition.id, offset, SEEK)
            {
                Ok(()) => partition.is_sought(),
                Err(error) => errors.push(error_of(&error)),
            }
        }
        for error in errors {
            self.complain(&error);
        }
    }
}

/// Returns the progress of partitions, as the group has committed it. It blocks.
fn progress(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    ids: &[i32],
    limit: Duration,
) -> Result<BTreeMap<i32, Tracker>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for id in ids {
        list.add_partition(topic, *id);
    }
    let committed = consumer.committed_offsets(list, limit)?;
    let of = |id: &i32| {
        let Some(found) = committed.find_partition(topic, *id) else {
            return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition));
        };
        found.error()?;
        let tracker = match found.offset() {
            Offset::Offset(base) => Tracker::restored(base, found.metadata()),
            _ => Tracker::new(consumer.fetch_watermarks(topic, *id, limit)?.0),
        };
        Ok((*id, tracker))
    };
    ids.iter().map(of).collect()
}
