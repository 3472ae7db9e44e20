//! Gives partitions up, and ends the consumer.

use std::time::{Duration, Instant};

use microagent_core::{Error, Result};
use rdkafka::{TopicPartitionList, consumer::Consumer};
use tracing::debug;

use super::{TICK, Worker, context};
use crate::error::{closed, unavailable};

/// The longest time that a revoked partition waits for the handlers of its messages.
const GRACE: Duration = Duration::from_secs(10);

/// The longest time that it waits for the last commit then.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// The pause between two looks whether the consumer has left its group.
const LEAVES: Duration = Duration::from_millis(10);

/// Partitions that the group wants back. The client waits until the thread gives them up; the others go on.
pub(super) struct Revocation {
    ids: Vec<i32>,
    since: Instant,
    /// When their handlers were given up, or had ended.
    ended: Option<Instant>,
    is_lost: bool,
}

impl Worker {
    /// Begins to give partitions up.
    pub(super) fn revoke(&mut self, ids: Vec<i32>) {
        // A commit that failed during the rebalance does not say so: the client has rejoined the group, and commits are accepted again.
        let is_lost = self.consumer.assignment_lost();
        self.commits.is_member();
        self.assigned.retain(|id, _| !ids.contains(id));
        for id in &ids {
            if let Some(partition) = self.partitions.get_mut(id) {
                partition.is_leaving = true;
            }
        }
        self.revocations.push(Revocation {
            ids,
            since: Instant::now(),
            ended: None,
            is_lost,
        });
    }

    /// Gives those partitions up whose handlers have ended and whose last commit has succeeded, or which take too long.
    pub(super) fn finish_revocations(&mut self) {
        for mut revocation in std::mem::take(&mut self.revocations) {
            match self.outcome(&mut revocation) {
                Some(outcome) => self.give_up(&revocation.ids, &outcome),
                None => self.revocations.push(revocation),
            }
        }
    }

    /// Returns the outcome of the settlements of these partitions, `None` as long as the thread waits.
    fn outcome(&mut self, revocation: &mut Revocation) -> Option<Result<()>> {
        let now = Instant::now();
        if revocation.is_lost || self.commits.is_no_member() {
            let text = "the partition was lost; the message may be delivered again";
            return Some(Err(unavailable(text)));
        }
        let ids = &revocation.ids;
        let of_it = |worker: &Self, is: &dyn Fn(&super::Partition) -> bool| {
            let mut partitions = ids.iter().filter_map(|id| worker.partitions.get(id));
            partitions.all(is)
        };
        if revocation.ended.is_none() {
            let is_idle = of_it(self, &|it| !it.has_in_flight());
            if !is_idle && now < revocation.since + GRACE {
                return None;
            }
            revocation.ended = Some(now);
            for id in ids {
                if let Some(partition) = self.partitions.get_mut(id) {
                    partition.give_up();
                }
            }
        }
        if of_it(self, &super::Partition::is_clean) {
            return Some(Ok(()));
        }
        let is_late = revocation
            .ended
            .is_some_and(|ended| now > ended + LAST_COMMIT);
        let text =
            "the last commit of the partition did not succeed; the message may be delivered again";
        is_late.then(|| Err(unavailable(text)))
    }

    /// Gives partitions up, and ends their settlements.
    fn give_up(&mut self, ids: &[i32], outcome: &Result<()>) {
        // The queues must be gone before the partitions can come again.
        self.partitions.retain(|id, _| !ids.contains(id));
        self.commits.end(Some(ids), outcome);
        let mut list = TopicPartitionList::new();
        for id in ids {
            list.add_partition(&self.setup.name, *id);
        }
        if let Err(error) = context::take_away(&self.consumer, &list) {
            debug!(queue = &*self.setup.name, %error, "the client did not give up partitions");
        }
    }

    /// Ends the consumer: what is settled is committed, and the rest is given up.
    pub(super) fn end(mut self) {
        self.reply_to_cleared(None);
        let outcome = if self.crashed {
            Err(closed())
        } else {
            self.leave()
        };
        self.commits.end(None, &outcome);
        let deadline = Instant::now() + LAST_COMMIT;
        while self.asks_for_progress && Instant::now() < deadline {
            // The other thread has the client, which must end here.
            self.wait(TICK);
        }
        self.consumer.context().end();
        for revocation in std::mem::take(&mut self.revocations) {
            self.give_up(&revocation.ids, &Err(closed()));
        }
        if !self.crashed {
            self.leave_group();
        }
        // All of these have the client, too, which ends with the last of them.
        self.partitions.clear();
        self.assigned.clear();
        self.committer.end();
    }

    /// Leaves the group, after a rebalance that is under way. The client leaves by itself when it ends, but only if it has partitions
    /// then and no rebalance is under way (librdkafka 2.12): otherwise the group would wait for it until its session is over.
    fn leave_group(&self) {
        self.consumer.unsubscribe();
        // A rebalance takes as long as another member waits for its handlers.
        let deadline = Instant::now() + GRACE + LAST_COMMIT;
        while self.consumer.context().is_member(&self.consumer) && Instant::now() < deadline {
            // The client carries the rebalance out meanwhile.
            let _ = self.consumer.poll(LEAVES);
        }
    }

    /// Commits what is settled, and that nothing is in flight.
    fn leave(&mut self) -> Result<()> {
        self.partitions
            .values_mut()
            .for_each(super::Partition::give_up);
        let deadline = Instant::now() + LAST_COMMIT;
        loop {
            self.commit(&[]);
            // A pause after a failure may have kept the commit back.
            if self.commits.is_idle() && self.partitions.values().all(super::Partition::is_clean) {
                return Ok(());
            }
            if self.commits.is_no_member() || Instant::now() > deadline {
                let text = "the last commit did not succeed; the message may be delivered again";
                return Err(unavailable(text));
            }
            self.wait(TICK);
            self.poll();
        }
    }
}

/// Returns the same outcome for another settlement.
pub(super) fn again(outcome: &Result<()>) -> Result<()> {
    outcome.as_ref().copied().map_err(Error::without_source)
}
