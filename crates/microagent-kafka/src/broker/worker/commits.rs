//! Commits what is settled, one commit at a time, without waiting for it.

use std::time::{Duration, Instant};

use microagent_core::Result;
use rdkafka::{Offset, TopicPartitionList, error::KafkaError};

use super::{
    TICK, Worker,
    context::{is_of_membership, is_of_rebalance},
    pace::Pace,
    revocation::again,
};
use crate::{
    broker::{
        partition::{Commit, Partition},
        settle::Settling,
    },
    error::error_of,
};

/// The pause after a commit that failed because the consumer is not a member of the group. A rebalance ends it earlier.
const NO_MEMBER: Duration = Duration::from_secs(1);

/// The longest time that a settlement of a fast consumer waits for others before its commit is sent.
const LINGER: Duration = Duration::from_millis(5);

/// The commits of a consumer.
#[derive(Default)]
pub(super) struct Commits {
    under_way: Option<UnderWay>,
    /// Settlements that are not committed.
    settled: Vec<Settling>,
    /// When the first one of them came.
    settled_since: Option<Instant>,
    /// Nothing is committed before, as the last commit has failed.
    pause_until: Option<Instant>,
    is_no_member: bool,
}

struct UnderWay {
    sent: Vec<Sent>,
    settled: Vec<Settling>,
}

/// The part of one partition.
struct Sent {
    id: i32,
    epoch: u64,
    commit: Commit,
    planned: Vec<i64>,
}

impl Commits {
    /// Adds a settlement, which ends with the next commit. The place of its message is free now.
    pub(super) fn wait_for(&mut self, mut settling: Settling) {
        settling.slot = None;
        self.settled_since.get_or_insert_with(Instant::now);
        self.settled.push(settling);
    }

    /// Returns true if nothing waits for a commit.
    pub(super) fn is_idle(&self) -> bool {
        self.settled.is_empty() && self.under_way.is_none()
    }

    /// Returns true if the last commit failed because the consumer was not a member of the group.
    pub(super) fn is_no_member(&self) -> bool {
        self.is_no_member
    }

    /// Registers that the group has an assignment for this consumer.
    pub(super) fn is_member(&mut self) {
        if std::mem::take(&mut self.is_no_member) {
            self.pause_until = None;
        }
    }

    /// Returns true if the next commit can be sent.
    pub(super) fn may_send(&self) -> bool {
        let now = Instant::now();
        self.under_way.is_none() && self.pause_until.is_none_or(|until| until <= now)
    }

    /// Ends the settlements of these partitions, or of all.
    pub(super) fn end(&mut self, ids: Option<&[i32]>, outcome: &Result<()>) {
        let of_them =
            |settling: &mut Settling| ids.is_none_or(|ids| ids.contains(&settling.partition));
        let under_way = self.under_way.iter_mut();
        let lists = under_way
            .map(|it| &mut it.settled)
            .chain([&mut self.settled]);
        for list in lists {
            for settling in list.extract_if(.., of_them) {
                settling.tell(again(outcome));
            }
        }
    }
}

impl Worker {
    /// Returns true if a commit waits for settlements of other messages in flight, which may follow at once.
    pub(super) fn gathers(&self) -> bool {
        let since = self.commits.settled_since;
        since.is_some_and(|since| Pace::gathers(since, self.in_flight()))
    }

    /// Returns true if a commit is to be sent although no message waits for one. That of a fast consumer waits for more settlements, as long as
    /// it has promised enough.
    pub(super) fn is_commit_due(&self) -> bool {
        let is_late = |since: Instant| since.elapsed() >= LINGER;
        !self.pace.is_fast()
            || self.commits.settled_since.is_some_and(is_late)
            || self.partitions.values().any(Partition::uses_its_promise)
    }

    /// Sends a commit of what has changed, with the promise that these messages are delivered next. One commit is under
    /// way at a time.
    pub(super) fn commit(&mut self, plan: &[(i32, i64)]) {
        if !self.commits.may_send() {
            return;
        }
        let mut sent = Vec::new();
        for partition in self.partitions.values_mut() {
            let of_it = plan.iter().filter(|(id, _)| *id == partition.id);
            let planned: Vec<_> = of_it.map(|(_, offset)| *offset).collect();
            if let Some(commit) = partition.send(&planned) {
                sent.push(Sent {
                    id: partition.id,
                    epoch: partition.epoch,
                    commit,
                    planned,
                });
            }
        }
        let settled = std::mem::take(&mut self.commits.settled);
        self.commits.settled_since = None;
        if sent.is_empty() {
            settled.into_iter().for_each(|it| it.tell(Ok(())));
            return;
        }
        let list = self.list_of(&sent);
        self.commits.under_way = Some(UnderWay { sent, settled });
        match list {
            Ok(list) => self.committer.send(list),
            Err(error) => self.is_committed(&Err(error)),
        }
    }

    fn list_of(&self, sent: &[Sent]) -> std::result::Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for Sent { id, commit, .. } in sent {
            let (base, metadata) = commit;
            let mut element = list.add_partition(&self.setup.name, *id);
            element.set_offset(Offset::Offset(*base))?;
            element.set_metadata(metadata);
        }
        Ok(list)
    }

    /// Takes the result of the commit under way.
    pub(super) fn is_committed(&mut self, result: &std::result::Result<(), KafkaError>) {
        let Some(UnderWay { sent, settled }) = self.commits.under_way.take() else {
            return;
        };
        for Sent {
            id,
            epoch,
            commit,
            planned,
        } in sent
        {
            let partition = self.partitions.get_mut(&id);
            match partition.filter(|it| it.epoch == epoch) {
                Some(partition) if result.is_ok() => partition.is_committed(commit, &planned),
                Some(partition) => partition.is_not_committed(),
                None => {}
            }
        }
        match result {
            Ok(()) => {
                self.outage.end();
                self.commits.pause_until = None;
                self.commits.is_no_member = false;
                settled.into_iter().for_each(|it| it.tell(Ok(())));
            }
            Err(error) => {
                let later = std::mem::replace(&mut self.commits.settled, settled);
                self.commits.settled.extend(later);
                self.commits.settled_since.get_or_insert_with(Instant::now);
                self.commit_failed(error);
            }
        }
    }

    fn commit_failed(&mut self, error: &KafkaError) {
        self.commits.is_no_member = is_of_membership(error);
        let pause = if self.commits.is_no_member {
            NO_MEMBER
        } else if is_of_rebalance(error) {
            TICK
        } else {
            self.outage.pause()
        };
        self.commits.pause_until = Some(Instant::now() + pause);
        // Nothing is delivered before the next commit.
        self.reply_to_cleared(None);
        self.complain(&error_of(error));
    }
}
