//! Looks at queues without consuming them. All functions block.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use microagent_core::{Message, Result};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::worker::progress;
use crate::{
    KafkaOptions, Promise, Tracker,
    client::{ANSWER, Client},
    context::Quiet,
    error::{error_of, unavailable},
    message::message_of,
};

/// The pause between two questions.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

type Reader = BaseConsumer<Quiet>;

/// The progress of a partition, and the end of its log.
struct Found {
    tracker: Tracker,
    promise: Promise,
    end: i64,
}

/// Returns how many messages the group has not finished.
pub(super) fn length(options: &KafkaOptions, client: &Client, topic: &str) -> Result<u64> {
    let reader = reader(options, topic)?;
    let mut unsettled = 0;
    for id in 0..client.partitions_of(topic)? {
        let found = look(&reader, topic, id).map_err(|error| error_of(&error))?;
        let left = (found.end - found.tracker.base()).max(0).unsigned_abs();
        unsettled += left.saturating_sub(found.tracker.finished_beyond());
    }
    Ok(unsettled)
}

/// Returns messages that are neither finished nor in flight.
pub(super) fn peek(
    options: &KafkaOptions,
    client: &Client,
    topic: &str,
    limit: usize,
) -> Result<Vec<Message>> {
    let failed = |error: KafkaError| error_of(&error);
    let reader = reader(options, topic)?;
    let (mut partitions, mut list) = (HashMap::new(), TopicPartitionList::new());
    for id in 0..client.partitions_of(topic)? {
        let found = look(&reader, topic, id).map_err(failed)?;
        if found.tracker.base() < found.end {
            let offset = Offset::Offset(found.tracker.base());
            list.add_partition_offset(topic, id, offset)
                .map_err(failed)?;
            partitions.insert(id, found);
        }
    }
    let (mut shown, name, deadline) =
        (Vec::new(), Arc::<str>::from(topic), Instant::now() + ANSWER);
    if partitions.is_empty() {
        return Ok(shown);
    }
    reader.assign(&list).map_err(failed)?;
    while shown.len() < limit && !partitions.is_empty() {
        if Instant::now() > deadline {
            return Err(unavailable(format!(
                "the messages of `{topic}` were not read in time"
            )));
        }
        let Some(record) = reader.poll(Duration::from_millis(100)) else {
            continue;
        };
        let record = record.map_err(failed)?;
        let id = record.partition();
        let Some(found) = partitions.get_mut(&id) else {
            continue;
        };
        if found.waits(record.offset()) {
            shown.push(message_of(&name, &record));
        }
        if record.offset() + 1 >= found.end {
            partitions.remove(&id);
        }
    }
    Ok(shown)
}

impl Found {
    fn waits(&mut self, offset: i64) -> bool {
        let in_flight = match self.promise {
            Promise::Left => false,
            Promise::Open { reach } => offset < reach,
            Promise::Alone { offset: alone } => offset == alone,
        };
        self.tracker.read(offset) && !in_flight
    }
}

fn is_of_coordinator(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::WaitingForCoordinator
        )
    )
}

fn reader(options: &KafkaOptions, topic: &str) -> Result<Reader> {
    let reader = BaseConsumer::from_config_and_context(&options.consumer(topic), Quiet);
    reader.map_err(|error| error_of(&error))
}

fn look(reader: &Reader, topic: &str, id: i32) -> std::result::Result<Found, KafkaError> {
    let deadline = Instant::now() + ANSWER;
    let tracker = loop {
        match progress(reader, topic, &[id], ANSWER) {
            // A new or restarted server does not know at once who keeps the commits.
            Err(error) if is_of_coordinator(&error) && Instant::now() < deadline => {
                let _ = reader.poll(LOOK_AGAIN);
            }
            found => match found?.remove(&id) {
                Some(tracker) => break tracker,
                None => return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition)),
            },
        }
    };
    let (_, end) = reader.fetch_watermarks(topic, id, ANSWER)?;
    let promise = tracker.last_promise();
    Ok(Found {
        tracker,
        promise,
        end,
    })
}
