//! What clients ask of queues: each request changes the ledger at once where that can be undone, and the store with the
//! turn's batch.
//!
//! A message enters the ledger when it is durable; a settled one leaves it before.

mod browse;
mod clock;
mod confirm;
mod hand_out;
mod item;
mod leases;
mod load;
mod recall;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use foldhash::{HashMap, HashSet};
use microagent_core::{
    ErrorKind,
    ledger::{ConsumerId, Entry, Ledger, MessageId, Position},
};

pub(crate) use self::{
    browse::{Looks, Which},
    confirm::Commits,
    hand_out::Reads,
};
use self::{
    confirm::{After, Batch, Then},
    item::{Cache, Item, size},
    leases::Leases,
};
use crate::{
    hub::{
        connections::{Asked, ConnectionId, Connections},
        outgoing::Lent,
        time::Time,
    },
    protocol::{Failure, LocalId, Text, WireSettlement, check_message},
    store::{Body, Change, Headers, Rewrite},
};

/// The most consumers of one connection.
const MAX_CONSUMERS: usize = 1000;

/// The most deliveries that one consumer may ask for at a time.
const MAX_PREFETCH: u32 = 65_535;

/// A delay that never ends, in the arithmetic of clocks.
const LONGEST_DELAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// All queues and their consumers.
#[derive(Debug)]
pub(super) struct Queues {
    time: Time,
    pub(super) ledger: Ledger<Item>,
    consumers: HashMap<ConsumerId, Consumer>,
    /// Queues that the store knows, or will before anyone hears of them.
    declared: HashSet<Arc<str>>,
    next_id: MessageId,
    leases: Leases,
    cache: Cache,
    /// New messages, apart from the rest: a disk without room for them still lets others be handled.
    arrivals: Batch,
    settlements: Batch,
    /// How many consumers each connection has.
    consumers_of: HashMap<ConnectionId, usize>,
    /// Connections that have room for messages again.
    roomy: Vec<ConnectionId>,
    /// Messages that are handed out and whose bodies must be read.
    wanted: Vec<MessageId>,
    /// Those whose bodies could not be read, to be tried again later.
    pub(super) unread: Vec<MessageId>,
}

/// One `consume` of one connection.
#[derive(Debug)]
struct Consumer {
    connection: ConnectionId,
    id: LocalId,
    /// It was cancelled, and lives until what it was delivered is settled.
    left: bool,
    /// Handed out to it and not settled.
    in_flight: HashSet<MessageId>,
    /// Those of them that are not on their way yet, in their order.
    outbox: VecDeque<MessageId>,
    /// How many of these have room on the connection: the first ones.
    claimed: usize,
    lent: Arc<Lent>,
}

/// The consumer of a connection by the client's number.
fn consumer_id(connection: ConnectionId, id: LocalId) -> ConsumerId {
    ConsumerId(u64::from(connection.0) << 32 | u64::from(id))
}

/// Returns the beginning of this millisecond: the wire and the store would round up to a time that has not been yet.
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
    /// Returns queues without messages; the next one gets this id.
    fn new(next_id: MessageId, time: Time) -> Self {
        Self {
            time,
            ledger: Ledger::new(),
            consumers: HashMap::default(),
            consumers_of: HashMap::default(),
            roomy: Vec::new(),
            declared: HashSet::default(),
            next_id,
            leases: Leases::default(),
            cache: Cache::default(),
            arrivals: Batch::default(),
            settlements: Batch::default(),
            wanted: Vec::new(),
            unread: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, asked: Asked, arrival: Arrival, connections: &Connections) {
        if let Err(failure) = check_message(arrival.payload.len(), &arrival.headers) {
            connections.done(asked, Err(failure));
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
        self.arrivals.change(Change::Insert {
            id,
            queue: queue.clone(),
            body,
            due: delay.map(|delay| now.wall + delay),
        });
        self.arrivals.after(After::Inserted {
            asked,
            id,
            queue,
            item,
            due: delay.map(|delay| now.instant + delay),
        });
    }

    pub(super) fn consume(
        &mut self,
        asked: Asked,
        (id, prefetch): (LocalId, u32),
        queue: &str,
        connections: &Connections,
    ) {
        let connection = asked.connection;
        let consumer = consumer_id(connection, id);
        if self.consumers.contains_key(&consumer) {
            let text = format!("consumer {id} exists already on this connection");
            connections.done(asked, Err(Failure::new(ErrorKind::Refused, text)));
            return;
        }
        let Some(lent) = connections.get(connection) else {
            return;
        };
        let lent = lent.outgoing.lent().clone();
        let consumers = self.consumers_of.entry(connection).or_default();
        if *consumers >= MAX_CONSUMERS {
            let text =
                format!("too many consumers on one connection: expected at most {MAX_CONSUMERS}");
            connections.done(asked, Err(Failure::new(ErrorKind::Refused, text)));
            return;
        }
        *consumers += 1;
        self.declare(asked, queue);
        self.consumers.insert(
            consumer,
            Consumer {
                connection,
                id,
                left: false,
                in_flight: HashSet::default(),
                outbox: VecDeque::new(),
                claimed: 0,
                lent,
            },
        );
        let credit = prefetch.clamp(1, MAX_PREFETCH) as usize;
        self.ledger.join(consumer, connection.peer(), queue, credit);
    }

    /// Answers when the queue exists durably.
    pub(super) fn declare(&mut self, asked: Asked, queue: &str) {
        let queue = self.ledger.queue(queue);
        if !self.declared.insert(queue.clone()) {
            self.answer_in_turn(asked);
            return;
        }
        self.settlements.change(Change::Declare {
            queue: queue.clone(),
        });
        self.settlements.after(After::Declared { asked, queue });
    }

    pub(super) fn settle(
        &mut self,
        asked: Asked,
        (consumer, id): (LocalId, MessageId),
        settlement: WireSettlement,
        connections: &Connections,
    ) {
        let Some(entry) = self.landed(consumer_id(asked.connection, consumer), id) else {
            let text = "it is not in flight here any more; it is delivered again";
            connections.done(asked, Err(Failure::new(ErrorKind::Unavailable, text)));
            return;
        };
        let then = match settlement {
            WireSettlement::Return => {
                self.give_back(id, entry, connections.is_own(asked.connection));
                self.answer_in_turn(asked);
                return;
            }
            WireSettlement::Ack => {
                self.settlements.change(Change::Remove { id });
                Then::Gone
            }
            WireSettlement::Retry { after } => self.delay(id, entry.item.attempt + 1, after),
            WireSettlement::DeadLetter { queue, headers } => self.bury(id, &queue, headers),
        };
        self.settlements.after(After::Settled {
            asked,
            id,
            entry,
            then,
        });
    }

    fn delay(&mut self, id: MessageId, attempt: u32, after: Duration) -> Then {
        let after = after.min(LONGEST_DELAY);
        let now = self.time.now();
        let failed = this_millisecond(now.wall);
        self.settlements.change(Change::Delay {
            id,
            attempt,
            due: failed + after,
            failed,
        });
        Then::Delayed(now.instant + after, failed)
    }

    fn bury(&mut self, id: MessageId, queue: &str, headers: Headers) -> Then {
        let to = self.new_id();
        let queue = self.ledger.queue(queue);
        self.declared.insert(queue.clone());
        let added = size(&Body {
            headers: headers.clone(),
            ..Body::default()
        });
        self.settlements.change(Change::Move {
            id,
            to,
            queue: queue.clone(),
            headers: Rewrite::Add(headers),
        });
        Then::Moved { to, queue, added }
    }

    /// Ends a consumer. What it was not delivered yet goes back; the rest too, or it is settled later.
    pub(super) fn cancel(
        &mut self,
        asked: Asked,
        id: LocalId,
        all: bool,
        connections: &Connections,
    ) {
        let own = connections.is_own(asked.connection);
        let id = consumer_id(asked.connection, id);
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.left = true;
            let mut back: Vec<_> = if all {
                consumer.in_flight.iter().copied().collect()
            } else {
                consumer.outbox.iter().copied().collect()
            };
            back.sort_unstable();
            // First, so that it is not handed the same again.
            self.ledger.leave(id);
            for message in back {
                if let Some(entry) = self.landed(id, message) {
                    self.give_back(message, entry, own);
                }
            }
            self.forget_if_done(id);
        }
        self.answer_in_turn(asked);
    }

    /// A connection ended. In peace everything goes back; else what its process may have been handling is suspect.
    pub(super) fn lost(&mut self, connection: ConnectionId, peace: bool, own: bool) {
        if self.consumers_of.remove(&connection).is_none() {
            return;
        }
        self.consumers
            .retain(|_, consumer| consumer.connection != connection);
        for (id, entry) in self.ledger.lost(connection.peer()) {
            if peace || entry.item.queued {
                self.give_back(id, entry, own);
                continue;
            }
            let crashes = entry.crashes + 1;
            self.settlements.change(Change::Suspect { id, crashes });
            self.settlements.after(After::PutBack {
                id,
                entry,
                place: Position::Suspect(crashes),
            });
        }
    }

    /// Puts a message back to the head of its queue, unharmed.
    fn give_back(&mut self, id: MessageId, entry: Entry<Item>, own: bool) {
        if !own {
            self.put_back(id, entry, Position::Head);
            return;
        }
        self.settlements.change(Change::Untake { id });
        self.settlements.after(After::PutBack {
            id,
            entry,
            place: Position::Head,
        });
    }

    /// Takes a message that this consumer has in flight out of the ledger.
    fn landed(&mut self, id: ConsumerId, message: MessageId) -> Option<Entry<Item>> {
        let consumer = self.consumers.get_mut(&id)?;
        if !consumer.in_flight.remove(&message) {
            return None;
        }
        let entry = self.ledger.take(message, consumer.connection.peer());
        if let Some(entry) = entry.as_ref().filter(|entry| entry.item.queued) {
            let mut outbox = consumer.outbox.iter();
            if let Some(place) = outbox.position(|waiting| *waiting == message) {
                consumer.outbox.remove(place);
            }
            if entry.item.claimed {
                consumer.claimed -= 1;
                if consumer.lent.give_back(entry.item.cost()) {
                    self.roomy.push(consumer.connection);
                }
            }
        }
        self.forget_if_done(id);
        entry
    }

    fn forget_if_done(&mut self, id: ConsumerId) {
        let done = |consumer: &Consumer| consumer.left && consumer.in_flight.is_empty();
        if let Some(consumer) = self.consumers.get(&id).filter(|consumer| done(consumer)) {
            if let Some(consumers) = self.consumers_of.get_mut(&consumer.connection) {
                *consumers -= 1;
            }
            self.consumers.remove(&id);
        }
    }

    fn new_id(&mut self) -> MessageId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}
