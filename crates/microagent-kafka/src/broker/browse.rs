//! Looks at queues without consuming them. All functions block.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use microagent_core::{Depth, Error, ErrorKind, Message, Result};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    KafkaOptions, Tracker,
    client::Client,
    context::Quiet,
    error::{code_of, error_of, error_of_right, error_with, unavailable},
    message::message_of,
};

/// The pause between two questions.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The longest time for one answer about a group. It is asked again then, and refusals are looked for between.
const ASK_FOR: Duration = Duration::from_millis(500);

/// A reader of a queue, without a membership in its group.
pub(super) struct Browser {
    pub(super) reader: BaseConsumer<Quiet>,
    pub(super) topic: Arc<str>,
    group: String,
    /// The longest time for one answer.
    pub(super) timeout: Duration,
    now: SystemTime,
}

/// The progress of a partition, as the last commit has it, and the end of its log.
pub(super) struct Found {
    pub(super) tracker: Tracker,
    pub(super) end: i64,
    metadata: String,
    /// In flight, or waiting for a retry.
    kept: BTreeSet<i64>,
}

impl Found {
    /// Returns true if a consumer can get this message now.
    pub(super) fn waits(&self, offset: i64) -> bool {
        self.tracker.is_unfinished(offset) && !self.kept.contains(&offset)
    }

    /// Returns the progress as the next owner has it. If the group has no members, messages in flight are suspects.
    pub(super) fn restored(&self) -> Tracker {
        Tracker::restored(self.tracker.base(), &self.metadata)
    }

    fn unsettled(&self) -> u64 {
        let left = (self.end - self.tracker.base()).max(0).unsigned_abs();
        left.saturating_sub(self.tracker.finished_beyond())
    }
}

impl Browser {
    pub(super) fn new(options: &KafkaOptions, topic: &str) -> Result<Self> {
        Self::with(&options.consumer(topic), options, topic)
    }

    /// Creates a reader for [`may_consume`](Self::may_consume). The client repeats the request when the server says that the
    /// partition does not exist, which is the good answer.
    pub(super) fn of_rights(options: &KafkaOptions, topic: &str) -> Result<Self> {
        let mut config = options.consumer(topic);
        config
            .set("retry.backoff.ms", "1")
            .set("retry.backoff.max.ms", "1");
        Self::with(&config, options, topic)
    }

    fn with(config: &ClientConfig, options: &KafkaOptions, topic: &str) -> Result<Self> {
        let reader = BaseConsumer::from_config_and_context(config, Quiet);
        Ok(Self {
            reader: reader.map_err(|error| error_with(&error, topic))?,
            topic: topic.into(),
            group: options.group_of(topic),
            timeout: options.timeout,
            now: SystemTime::now(),
        })
    }

    /// Returns how many messages the group has not finished.
    pub(super) fn length(&self, client: &Client) -> Result<u64> {
        let found = self.all(client)?;
        Ok(found.values().map(Found::unsettled).sum())
    }

    /// Counts the messages by state, as the last commits of the group have it.
    pub(super) fn depth(&self, client: &Client) -> Result<Depth> {
        let (mut unsettled, mut in_flight, mut delayed) = (0, 0, 0);
        for found in self.all(client)?.values() {
            unsettled += found.unsettled();
            in_flight += found.tracker.in_flight().len() as u64;
            delayed += found.tracker.delayed(self.now).count() as u64;
        }
        let mut depth = Depth::default();
        depth.waiting = Some(unsettled.saturating_sub(in_flight + delayed));
        depth.in_flight = Some(in_flight);
        depth.delayed = Some(delayed);
        Ok(depth)
    }

    /// Returns messages that are neither finished nor in flight, and do not wait for a retry.
    pub(super) fn peek(&self, client: &Client, limit: usize) -> Result<Vec<Message>> {
        let (found, mut shown) = (self.all(client)?, Vec::new());
        if limit > 0 {
            self.scan(&found, |_, _, message| {
                shown.push(message);
                Ok(if shown.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                })
            })?;
        }
        Ok(shown)
    }

    /// Returns the progress of all partitions.
    pub(super) fn all(&self, client: &Client) -> Result<BTreeMap<i32, Found>> {
        let ids = 0..client.partitions_of(&self.topic)?;
        let found = ids.map(|id| Ok((id, self.ask(|| self.look(id))?)));
        found
            .collect::<Result<_, KafkaError>>()
            .map_err(|error| self.error_of_right(&error, "DESCRIBE"))
    }

    /// Fails if this user may not consume the queue.
    ///
    /// It commits for a partition that no topic has: the server looks at the rights first, and stores nothing then.
    pub(super) fn may_consume(&self) -> Result<()> {
        let failed = |error: KafkaError, right| self.error_of_right(&error, right);
        self.ask(|| self.committed(0))
            .map_err(|error| failed(error, "DESCRIBE"))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, i32::MAX, Offset::Offset(0))
            .map_err(|error| failed(error, "READ"))?;
        match self.reader.commit(&list, CommitMode::Sync) {
            Err(error) if kind_of_error(&error) == ErrorKind::Refused => Err(failed(error, "READ")),
            // Other errors are those of a consumer, which tries again.
            _ => Ok(()),
        }
    }

    /// Returns the error of a request that needs a right on the topic, or on the group.
    pub(super) fn error_of_right(&self, error: &KafkaError, right: &str) -> Error {
        if code_of(error) == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return error_of(error).context(format_args!(
                "missing right `{right}` on the group `{}` of queue `{}`",
                self.group, self.topic
            ));
        }
        error_of_right(error, &self.topic, right)
    }

    /// Asks until the server answers. A new or restarted one does not know at once who leads a partition or keeps a group.
    pub(super) fn ask<T>(
        &self,
        question: impl Fn() -> Result<T, KafkaError>,
    ) -> Result<T, KafkaError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match question() {
                Err(error) if is_of_leader(&error) && Instant::now() < deadline => {
                    let _ = self.reader.poll(LOOK_AGAIN);
                }
                answer => return answer,
            }
        }
    }

    fn look(&self, id: i32) -> Result<Found, KafkaError> {
        let (base, metadata) = self.committed(id)?;
        let (low, end) = self
            .reader
            .fetch_watermarks(&self.topic, id, self.timeout)?;
        let tracker = Tracker::committed(base.unwrap_or(low), &metadata);
        let in_flight = tracker.in_flight().into_iter();
        let kept = in_flight.chain(tracker.delayed(self.now)).collect();
        Ok(Found {
            tracker,
            end,
            metadata,
            kept,
        })
    }

    fn committed(&self, id: i32) -> Result<(Option<i64>, String), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, id);
        let list = self.committed_offsets(&list)?;
        let found = list.find_partition(&self.topic, id);
        let found = found.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
        found.error()?;
        let base = match found.offset() {
            Offset::Offset(base) => Some(base),
            _ => None,
        };
        Ok((base, found.metadata().to_owned()))
    }

    /// Asks for offsets. A client that may not see the group finds no server for it: it goes on asking, and reports the refusal apart.
    fn committed_offsets(
        &self,
        list: &TopicPartitionList,
    ) -> Result<TopicPartitionList, KafkaError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = self
                .reader
                .committed_offsets(list.clone(), left.min(ASK_FOR));
            match found {
                Err(error) if has_no_answer(&error) && left > ASK_FOR => {}
                found => return found,
            }
            match self.reader.poll(LOOK_AGAIN) {
                Some(Err(error)) if kind_of_error(&error) == ErrorKind::Refused => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// Reads the waiting messages of these partitions, those of one partition in their order, until all are read or
    /// `take` ends it.
    pub(super) fn scan(
        &self,
        partitions: &BTreeMap<i32, Found>,
        mut take: impl FnMut(i32, i64, Message) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let failed = |error: KafkaError| self.error_of_right(&error, "READ");
        let (mut ends, mut list) = (BTreeMap::new(), TopicPartitionList::new());
        for (id, found) in partitions {
            if found.tracker.base() < found.end {
                let offset = Offset::Offset(found.tracker.base());
                list.add_partition_offset(&self.topic, *id, offset)
                    .map_err(failed)?;
                ends.insert(*id, found);
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        self.reader.assign(&list).map_err(failed)?;
        let mut deadline = Instant::now() + self.timeout;
        while !ends.is_empty() {
            if Instant::now() > deadline {
                let text = format!("the messages of `{}` were not read in time", self.topic);
                return Err(unavailable(text));
            }
            let Some(record) = self.reader.poll(Duration::from_millis(100)) else {
                continue;
            };
            let record = record.map_err(failed)?;
            let (id, offset) = (record.partition(), record.offset());
            let Some(found) = ends.get(&id) else {
                continue;
            };
            deadline = Instant::now() + self.timeout;
            if offset < found.end && found.waits(offset) {
                let message = message_of(&self.topic, &record);
                if take(id, offset, message)?.is_break() {
                    break;
                }
            }
            if offset + 1 >= found.end {
                ends.remove(&id);
            }
        }
        self.reader.unassign().map_err(failed)
    }
}

fn kind_of_error(error: &KafkaError) -> ErrorKind {
    error_of(error).kind()
}

fn has_no_answer(error: &KafkaError) -> bool {
    code_of(error) == Some(RDKafkaErrorCode::OperationTimedOut)
}

fn is_of_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::WaitingForCoordinator
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
        )
    )
}
