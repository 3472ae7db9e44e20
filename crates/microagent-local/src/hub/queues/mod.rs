//! The queues of the hub. A request changes the ledger at once if that can be undone, and the store with the
//! batch of its turn.
//!
//! A message enters the ledger when it is durable, and leaves it before its settlement is written.

mod bodies;
mod browse;
mod clock;
mod confirm;
mod consumers;
mod hand_out;
mod item;
mod leases;
mod load;
mod recall;
mod writes;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use foldhash::HashSet;
use microagent_core::{
    ErrorKind,
    ledger::{ConsumerId, Entry, Ledger, MessageId, Position},
};

pub(crate) use self::{
    bodies::Reads,
    browse::{BrowseScope, Peeks},
    writes::Commits,
};
use self::{
    bodies::WantedBodies,
    consumers::{Consumers, consumer_id},
    item::{Cache, Item, size},
    leases::Leases,
    writes::{FollowUp, SettlementOutcome, Writes},
};
use tokio::time::Instant;

use crate::{
    hub::{
        connections::{ConnectionId, Connections, ReplyTarget},
        time::Time,
    },
    protocol::{Failure, LocalId, Text, WireSettlement, check_message},
    store::{Body, Change, Headers, Rewrite},
};

/// The maximum prefetch of a consumer.
const MAX_PREFETCH: u32 = 65_535;

/// The longest delay. Clocks can compute with it.
const LONGEST_DELAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// All queues and their consumers.
#[derive(Debug)]
pub(super) struct Queues {
    time: Time,
    ledger: Ledger<Item>,
    consumers: Consumers,
    /// The queues that the store has, or will have before a client learns of them.
    declared: HashSet<Arc<str>>,
    next_id: MessageId,
    leases: Leases,
    cache: Cache,
    bodies: WantedBodies,
    writes: Writes,
}

/// Returns the beginning of this millisecond: the protocol and the store round up, which would give a time in
/// the future.
fn this_millisecond(now: SystemTime) -> SystemTime {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let beyond = Duration::from_nanos(u64::from(since.subsec_nanos()) % 1_000_000);
    now.checked_sub(beyond).unwrap_or(now)
}

/// A message as it was sent.
pub(super) struct Arrival {
    pub(super) queue: Text,
    pub(super) payload: Bytes,
    pub(super) headers: Headers,
    pub(super) delay: Option<Duration>,
}

impl Queues {
    /// Returns queues without messages. `next_id` is the id of the first message.
    fn new(next_id: MessageId, time: Time) -> Self {
        Self {
            time,
            ledger: Ledger::new(),
            consumers: Consumers::default(),
            declared: HashSet::default(),
            next_id,
            leases: Leases::default(),
            cache: Cache::default(),
            bodies: WantedBodies::default(),
            writes: Writes::default(),
        }
    }

    pub(super) fn send(
        &mut self,
        target: ReplyTarget,
        arrival: Arrival,
        connections: &Connections,
    ) {
        if let Err(failure) = check_message(arrival.payload.len(), &arrival.headers) {
            connections.done(target, Err(failure));
            return;
        }
        let id = self.new_id();
        let queue = self.ledger.queue(&arrival.queue);
        self.declared.insert(queue.clone());
        let delay = arrival.delay.map(|delay| delay.min(LONGEST_DELAY));
        let now = self.time.now();
        let body = Body {
            payload: arrival.payload,
            headers: arrival.headers,
        };
        let mut item = Item::stored(1, size(&body));
        self.cache.admit(&mut item, &body);
        let insert = Change::Insert {
            id,
            queue: queue.clone(),
            body,
            due: delay.map(|delay| now.wall + delay),
        };
        let after = FollowUp::Inserted {
            target,
            id,
            queue,
            item,
            due: delay.map(|delay| now.instant + delay),
        };
        self.writes.insert(insert, after);
    }

    pub(super) fn consume(
        &mut self,
        target: ReplyTarget,
        (id, prefetch): (LocalId, u32),
        queue: &str,
        connections: &Connections,
    ) {
        let connection = target.connection;
        let Some(peer) = connections.get(connection) else {
            return;
        };
        if let Err(failure) = self.consumers.add((connection, id), peer.outgoing.lent()) {
            connections.done(target, Err(failure));
            return;
        }
        self.declare(target, queue);
        let credit = prefetch.clamp(1, MAX_PREFETCH) as usize;
        let consumer = consumer_id(connection, id);
        self.ledger.join(consumer, connection.peer(), queue, credit);
    }

    /// Creates a queue, and answers when it is durable.
    pub(super) fn declare(&mut self, target: ReplyTarget, queue: &str) {
        let queue = self.ledger.queue(queue);
        if !self.declared.insert(queue.clone()) {
            self.answer_in_turn(target);
            return;
        }
        let change = Change::Declare {
            queue: queue.clone(),
        };
        self.writes
            .change(change, FollowUp::Declared { target, queue });
    }

    pub(super) fn settle(
        &mut self,
        target: ReplyTarget,
        (consumer, id): (LocalId, MessageId),
        settlement: WireSettlement,
        connections: &Connections,
    ) {
        let Some(entry) = self.take_back(consumer_id(target.connection, consumer), id) else {
            let text = "the message is no longer in flight here; it is delivered again";
            connections.done(target, Err(Failure::new(ErrorKind::Unavailable, text)));
            return;
        };
        let outcome = match settlement {
            WireSettlement::Return => {
                self.give_back(id, entry, connections.is_own(target.connection));
                self.answer_in_turn(target);
                return;
            }
            WireSettlement::Ack => {
                self.writes.change_only(Change::Remove { id });
                SettlementOutcome::Gone
            }
            WireSettlement::Retry { after } => self.delay(id, entry.item.attempt + 1, after),
            WireSettlement::DeadLetter { queue, headers } => self.dead_letter(id, &queue, headers),
        };
        self.writes.after(FollowUp::Settled {
            target,
            id,
            entry,
            outcome,
        });
    }

    fn delay(&mut self, id: MessageId, attempt: u32, after: Duration) -> SettlementOutcome {
        let after = after.min(LONGEST_DELAY);
        let now = self.time.now();
        let failed = this_millisecond(now.wall);
        self.writes.change_only(Change::Delay {
            id,
            attempt,
            due: failed + after,
            failed,
        });
        SettlementOutcome::Delayed(now.instant + after, failed)
    }

    fn dead_letter(&mut self, id: MessageId, queue: &str, headers: Headers) -> SettlementOutcome {
        let to = self.new_id();
        let queue = self.ledger.queue(queue);
        self.declared.insert(queue.clone());
        let added = size(&Body {
            headers: headers.clone(),
            ..Body::default()
        });
        self.writes.change_only(Change::Move {
            id,
            to,
            queue: queue.clone(),
            headers: Rewrite::Add(headers),
        });
        SettlementOutcome::Moved { to, queue, added }
    }

    /// Cancels a consumer. Messages that are not delivered yet are returned; the others too if `all` is true,
    /// otherwise they are settled later.
    pub(super) fn cancel(
        &mut self,
        target: ReplyTarget,
        id: LocalId,
        all: bool,
        connections: &Connections,
    ) {
        let own = connections.is_own(target.connection);
        let id = consumer_id(target.connection, id);
        if let Some(back) = self.consumers.cancel(id, all) {
            // Left first, so that the consumer does not get the same messages again.
            self.ledger.leave(id);
            for message in back {
                if let Some(entry) = self.take_back(id, message) {
                    self.give_back(message, entry, own);
                }
            }
            self.consumers.remove_if_done(id);
        }
        self.answer_in_turn(target);
    }

    /// Returns the messages of a connection that has ended. If it did not end in peace, those that its process
    /// may have been handling are suspect.
    pub(super) fn lost(&mut self, connection: ConnectionId, peace: bool, own: bool) {
        if !self.consumers.remove_connection(connection) {
            return;
        }
        for (id, entry) in self.ledger.lost(connection.peer()) {
            if peace || entry.item.is_queued() {
                self.give_back(id, entry, own);
                continue;
            }
            let crashes = entry.crashes + 1;
            let after = FollowUp::PutBack {
                id,
                entry,
                place: Position::Suspect(crashes),
            };
            self.writes.change(Change::Suspect { id, crashes }, after);
        }
    }

    /// Returns a message to the head of its queue. Its counters do not change.
    fn give_back(&mut self, id: MessageId, entry: Entry<Item>, own: bool) {
        if !own {
            self.put_back(id, entry, Position::Head);
            return;
        }
        let after = FollowUp::PutBack {
            id,
            entry,
            place: Position::Head,
        };
        self.writes.change(Change::Untake { id }, after);
    }

    /// Removes a message from the ledger if this consumer has it in flight.
    fn take_back(&mut self, id: ConsumerId, message: MessageId) -> Option<Entry<Item>> {
        let consumer = self.consumers.get_mut(id)?;
        if !consumer.end_flight(message) {
            return None;
        }
        let entry = self.ledger.take(message, consumer.connection().peer());
        if let Some(entry) = entry.as_ref().filter(|entry| entry.item.is_queued()) {
            self.consumers
                .withdraw(id, message, entry.item.claimed_cost());
        }
        self.consumers.remove_if_done(id);
        entry
    }

    /// Makes the delayed messages that are due wait in their queues.
    pub(super) fn wake(&mut self, now: Instant) {
        self.ledger.wake(now);
    }

    /// Returns when the next delayed message is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.ledger.next_due()
    }

    /// Returns how many messages wait in a queue, without those in flight and the delayed ones.
    pub(super) fn length(&self, queue: &str) -> u64 {
        self.ledger.length(queue) as u64
    }

    /// Returns whether there are bodies that could not be read, and are to be tried again.
    pub(super) fn has_unread(&self) -> bool {
        self.bodies.has_failed()
    }

    fn new_id(&mut self) -> MessageId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}
