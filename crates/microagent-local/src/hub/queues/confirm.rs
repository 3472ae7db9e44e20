//! The commits under way, and the steps that follow them.
//!
//! No request waits for a commit: the changes of a turn are handed to the writer together with the steps that
//! follow when they are durable.

use std::time::Duration;

use microagent_core::{
    ErrorKind,
    ledger::{Entry, MessageId, Position},
};
use tokio::time::Instant;
use tracing::warn;

use super::{
    Queues,
    item::{Item, released},
    writes::{Commits, Confirmation, FollowUp, SettlementOutcome},
};
use crate::{
    hub::connections::{Connections, ReplyTarget},
    log_limit::LogLimit,
    protocol::{Failure, RequestId},
    store::Writer,
};

/// The delay before a message is delivered again if its settlement could not be written. It will be handled
/// once more, so not at once: the next settlement would fail as well.
const UNRECORDED: Duration = Duration::from_secs(10);

static REFUSED_LIMIT: LogLimit = LogLimit::new();

/// Returns the position of a message whose settlement could not be written.
fn again_at(entry: &Entry<Item>) -> Position {
    match entry.item.holder() {
        Some(_) => Position::Delayed(Instant::now() + UNRECORDED),
        // A browse request settled it while it waited.
        None => Position::Head,
    }
}

/// Consecutive requests of one client that are confirmed together.
#[derive(Default)]
struct ConfirmedRange(Option<(ReplyTarget, RequestId)>);

impl ConfirmedRange {
    /// Adds a request that is durable.
    fn add(&mut self, target: ReplyTarget, connections: &Connections) {
        match &mut self.0 {
            Some((first, last))
                if first.connection == target.connection && *last + 1 == target.request =>
            {
                first.weight += target.weight;
                *last = target.request;
            }
            _ => {
                self.answer(connections);
                self.0 = Some((target, target.request));
            }
        }
    }

    fn answer(&mut self, connections: &Connections) {
        if let Some((first, last)) = self.0.take() {
            connections.all_done(first, last);
        }
    }
}

impl Queues {
    /// Hands the changes of the turn to the writer.
    pub(crate) fn submit(&mut self, writer: &Writer, commits: &mut Commits) {
        self.writes.submit(writer, commits);
    }

    /// Answers when everything that was requested before is durable.
    pub(crate) fn answer_in_turn(&mut self, target: ReplyTarget) {
        self.writes.after(FollowUp::Answer { target });
    }

    /// Handles the outcome of a batch: it is durable, or failed as a whole. Returns false if the store is
    /// closed.
    pub(crate) fn confirm(
        &mut self,
        (result, after): Confirmation,
        connections: &Connections,
    ) -> bool {
        let failure = result.as_ref().err().map(Failure::from);
        if let Some(failure) = &failure
            && let Some(omitted) = REFUSED_LIMIT.admit()
        {
            warn!(error = %failure, omitted, "the store cannot write changes of the hub; their requests fail");
        }
        let mut row = ConfirmedRange::default();
        for after in after {
            match after {
                FollowUp::Inserted { target, .. } if failure.is_none() => {
                    row.add(target, connections);
                    self.conclude(after, None, connections);
                }
                after => {
                    row.answer(connections);
                    self.conclude(after, failure.as_ref(), connections);
                }
            }
        }
        row.answer(connections);
        failure.is_none_or(|failure| failure.kind != ErrorKind::Closed)
    }

    fn conclude(&mut self, after: FollowUp, failure: Option<&Failure>, connections: &Connections) {
        let answer = |target| connections.done(target, failure.cloned().map_or(Ok(()), Err));
        match after {
            FollowUp::Inserted {
                target,
                id,
                queue,
                mut item,
                due,
            } => {
                if failure.is_some() {
                    self.cache.evict(&mut item);
                    self.declared.remove(&queue);
                } else {
                    let place = due.map_or(Position::Tail, Position::Delayed);
                    self.ledger.put(id, &queue, item, place);
                }
                if failure.is_some() {
                    answer(target);
                }
            }
            FollowUp::Settled {
                target,
                id,
                entry,
                outcome,
            } => {
                match failure {
                    None => self.settled(id, entry, outcome),
                    Some(_) => {
                        let again = again_at(&entry);
                        self.put_back(id, entry, again);
                    }
                }
                answer(target);
            }
            FollowUp::Declared { target, queue } => {
                if failure.is_some() {
                    self.declared.remove(&queue);
                }
                answer(target);
            }
            FollowUp::StoredLease {
                target,
                key,
                before,
            } => match failure {
                None => connections.lease(target, None),
                Some(failure) => {
                    self.leases.restore(key, before);
                    connections.done(target, Err(failure.clone()));
                }
            },
            FollowUp::Counted { target, count } => match failure {
                None => connections.count(target, count),
                Some(failure) => connections.done(target, Err(failure.clone())),
            },
            FollowUp::PutBack { id, entry, place } => self.put_back(id, entry, place),
            FollowUp::Taken { id, holder } => self.recorded(id, holder, connections),
            FollowUp::Answer { target } => connections.done(target, Ok(())),
        }
    }

    fn settled(&mut self, id: MessageId, mut entry: Entry<Item>, outcome: SettlementOutcome) {
        match outcome {
            SettlementOutcome::Gone => self.cache.evict(&mut entry.item),
            SettlementOutcome::Delayed(due, failed) => {
                entry.item.attempt += 1;
                entry.item.first_failure.get_or_insert(failed);
                self.put_back(id, entry, Position::Delayed(due));
            }
            SettlementOutcome::Moved { to, queue, added } => {
                // The cached headers are outdated; the store has the new ones.
                self.cache.evict(&mut entry.item);
                let item = Item::stored(1, entry.item.bytes() + added);
                self.ledger.put(to, &queue, item, Position::Tail);
            }
        }
    }

    pub(super) fn put_back(&mut self, id: MessageId, entry: Entry<Item>, place: Position) {
        self.ledger.put_back(id, released(entry), place);
    }
}
