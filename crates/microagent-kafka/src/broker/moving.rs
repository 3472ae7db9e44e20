//! Moves and removes waiting messages of a queue without consumers. All functions block.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use futures_util::future::join_all;
use microagent_core::{
    DeclareOptions, Error, ErrorKind, Message, Queue, Result, Selection, header,
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::runtime::Handle;

use super::browse::{Browser, Found};
use crate::{
    KafkaOptions, Tracker,
    client::{Client, Outgoing},
    message::KafkaRecord,
};

/// The number of messages that are sent together. The progress is committed after each group.
const TOGETHER: usize = 100;

/// A waiting message that was selected.
struct Selected {
    partition: i32,
    offset: i64,
    message: Message,
}

/// A queue whose waiting messages are moved or removed.
pub(super) struct Mover {
    browser: Browser,
    client: Arc<Client>,
    partitions: BTreeMap<i32, Found>,
    /// The progress, which is committed after each step.
    trackers: BTreeMap<i32, Tracker>,
}

impl Mover {
    /// Reads the progress of a queue.
    ///
    /// # Errors
    /// `Refused` if the queue has consumers: only they can commit then.
    pub(super) fn new(options: &KafkaOptions, client: Arc<Client>, topic: &str) -> Result<Self> {
        let browser = Browser::new(options, topic)?;
        if has_members(&browser, &options.group_of(topic))? {
            return Err(consumed(topic));
        }
        let partitions = browser.all(&client)?;
        let trackers = partitions.iter().map(|(id, it)| (*id, it.restored()));
        Ok(Self {
            trackers: trackers.collect(),
            browser,
            client,
            partitions,
        })
    }

    /// Removes waiting messages: they count as finished.
    pub(super) fn purge(mut self, which: &Selection) -> Result<u64> {
        match which {
            Selection::All => self.remove(u64::MAX),
            Selection::First(limit) => self.remove(*limit),
            Selection::Id(_) => {
                let mut selected = Vec::new();
                self.select(which, |one| {
                    selected.push(one);
                    Ok(())
                })?;
                finish(&self.browser, &mut self.trackers, &selected)?;
                Ok(selected.len() as u64)
            }
        }
    }

    /// Removes waiting messages without reading them.
    fn remove(&mut self, limit: u64) -> Result<u64> {
        let mut removed = 0;
        for (id, found) in &self.partitions {
            let Some(tracker) = self.trackers.get_mut(id) else {
                continue;
            };
            let before = removed;
            for offset in found.tracker.base()..found.end {
                if removed == limit {
                    break;
                }
                removed += u64::from(found.waits(offset) && tracker.finish(offset));
            }
            if removed > before {
                commit(&self.browser, *id, tracker)?;
            }
        }
        Ok(removed)
    }

    /// Moves waiting messages to another queue.
    pub(super) fn requeue(mut self, to: &Queue, which: &Selection) -> Result<u64> {
        let runtime = Handle::current();
        let mut trackers = std::mem::take(&mut self.trackers);
        let (mut group, mut moved) = (Vec::new(), 0);
        let mut send = |group: &mut Vec<Selected>| {
            if group.is_empty() {
                return Ok(());
            }
            runtime.block_on(self.send(to, group))?;
            finish(&self.browser, &mut trackers, group)?;
            moved += group.drain(..).count() as u64;
            Ok::<_, Error>(())
        };
        self.select(which, |one| {
            group.push(one);
            if group.len() == TOGETHER {
                send(&mut group)?;
            }
            Ok(())
        })?;
        send(&mut group)?;
        Ok(moved)
    }

    /// Passes the selected messages on, those of one partition in their order.
    fn select(
        &self,
        which: &Selection,
        mut take: impl FnMut(Selected) -> Result<()>,
    ) -> Result<()> {
        let (mut limit, id) = match which {
            Selection::All => (u64::MAX, None),
            Selection::First(limit) => (*limit, None),
            Selection::Id(id) => (1, Some(id)),
        };
        if limit == 0 {
            return Ok(());
        }
        self.browser
            .scan(&self.partitions, |partition, offset, message| {
                if id.is_none_or(|id| message.id() == Some(id)) {
                    limit -= 1;
                    take(Selected {
                        partition,
                        offset,
                        message,
                    })?;
                }
                Ok(if limit == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
    }

    /// Sends the messages as new ones to a queue, which is created if it does not exist.
    async fn send(&self, to: &Queue, group: &[Selected]) -> Result<()> {
        let options = DeclareOptions::default();
        self.client.declare(to.name(), &options).await?;
        let sending = group.iter().map(|Selected { message, .. }| async {
            let record = message.native::<KafkaRecord>();
            let headers: Vec<_> = message
                .headers()
                .filter(|(name, _)| !header::is_of_dead_letter(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let outgoing = Outgoing {
                topic: to.name(),
                key: record.and_then(|record| record.key.as_deref()),
                id: message.id(),
                headers: &headers,
                raw_headers: record.map_or(&[], |record| &record.raw_headers),
                body: message.payload(),
            };
            self.client.send(&outgoing).await
        });
        join_all(sending).await.into_iter().collect()
    }
}

/// Commits that these messages are finished.
fn finish(
    browser: &Browser,
    trackers: &mut BTreeMap<i32, Tracker>,
    group: &[Selected],
) -> Result<()> {
    for one in group {
        if let Some(tracker) = trackers.get_mut(&one.partition) {
            tracker.finish(one.offset);
        }
    }
    for (id, tracker) in trackers {
        if group.iter().any(|one| one.partition == *id) {
            commit(browser, *id, tracker)?;
        }
    }
    Ok(())
}

fn has_members(browser: &Browser, group: &str) -> Result<bool> {
    let list = || {
        browser
            .reader
            .fetch_group_list(Some(group), browser.timeout)
    };
    let found = browser.ask(list);
    let found = found.map_err(|error| browser.error_of_right(&error, "DESCRIBE"))?;
    let mut groups = found.groups().iter().filter(|it| it.name() == group);
    Ok(groups.any(|it| !matches!(it.state(), "" | "Empty" | "Dead")))
}

fn commit(browser: &Browser, id: i32, tracker: &Tracker) -> Result<()> {
    let failed = |error: KafkaError| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::IllegalGeneration) => {
            consumed(&browser.topic)
        }
        _ => browser.error_of_right(&error, "READ"),
    };
    let metadata = tracker
        .metadata()
        .filter(|_| tracker.fits())
        .ok_or_else(|| {
            let text = format!(
                "a message of `{}` has too many waiting messages before it to be moved alone",
                browser.topic
            );
            Error::new(ErrorKind::Unsupported, text)
        })?;
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(&browser.topic, id);
    let offset = Offset::Offset(tracker.base());
    element.set_offset(offset).map_err(failed)?;
    element.set_metadata(&metadata);
    let send = || browser.reader.commit(&list, CommitMode::Sync);
    browser.ask(send).map_err(failed)
}

fn consumed(topic: &str) -> Error {
    let text = format!(
        "queue `{topic}` has consumers: stop them first, and wait until they have left its group"
    );
    Error::new(ErrorKind::Refused, text)
}
