//! From the ledger to the consumers: who gets what, and what must happen before it is on its way.
//!
//! A body that is not in memory is read first, and for the host's own process the handing out is recorded first, because
//! nobody would notice its death. A consumer's deliveries keep their order meanwhile.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use microagent_core::{
    Result,
    ledger::{ConsumerId, Handed, MessageId},
};
use tracing::{error, warn};

use super::{
    confirm::After,
    connections::Connections,
    item::{Cache, filled, letter_of},
    queues::{Consumer, Queues},
};
use crate::{
    protocol::{HubFrame, Letter, MAX_LETTER, letter_size},
    store::{Body, Change, Writer},
};

type Found = (Vec<MessageId>, Result<Vec<(MessageId, Body)>>);
type Read = Pin<Box<dyn Future<Output = Found> + Send>>;

/// Bodies that are being read.
pub(super) type Reads = FuturesUnordered<Read>;

impl Queues {
    /// Gives everything that can be given to those who may have it.
    pub(super) fn hand_out(&mut self, connections: &Connections) {
        while let Some(handed) = self.ledger.hand_out() {
            self.handed(handed, connections);
        }
    }

    /// Asks for the bodies that are wanted.
    pub(super) fn read(&mut self, writer: &Writer, reads: &mut Reads) {
        if self.wanted.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.wanted);
        let found = writer.bodies(ids.clone());
        reads.push(Box::pin(async move { (ids, found.await) }));
    }

    /// Bodies arrived, for those who still want them.
    pub(super) fn found(&mut self, (asked, found): Found, connections: &Connections) {
        let mut bodies = match found {
            Ok(bodies) => bodies.into_iter().peekable(),
            Err(error) => {
                warn!(%error, "messages cannot be read from the store; they are tried again");
                self.unread.extend(asked);
                return;
            }
        };
        for id in asked {
            let body = bodies.next_if(|(next, _)| *next == id);
            let Some(entry) = self.ledger.get_mut(id) else {
                continue;
            };
            let Some(holder) = entry.item.holder.filter(|_| entry.item.body.is_none()) else {
                continue;
            };
            match body {
                Some((_, body)) => entry.item.body = Some(body),
                None => self.set_aside(id, "its body cannot be read"),
            }
            self.flush(holder, connections);
        }
    }

    /// Tries again to read what could not be read.
    pub(super) fn want_again(&mut self) {
        self.wanted.append(&mut self.unread);
    }

    /// That the host's own process has a message is durable, or could not be made so: then it is delivered as well, and only
    /// a crash of the host would go unnoticed.
    pub(super) fn recorded(
        &mut self,
        id: MessageId,
        holder: ConsumerId,
        connections: &Connections,
    ) {
        let Some(entry) = self.ledger.get_mut(id) else {
            return;
        };
        if entry.item.holder == Some(holder) {
            entry.item.recording = false;
            self.flush(holder, connections);
        }
    }

    fn handed(&mut self, Handed { id, consumer }: Handed, connections: &Connections) {
        let (Some(entry), Some(holder)) =
            (self.ledger.get_mut(id), self.consumers.get_mut(&consumer))
        else {
            error!(id, "a message was handed to a consumer that does not exist");
            return;
        };
        entry.item.holder = Some(consumer);
        holder.in_flight.insert(id);
        holder.outbox.push_back(id);
        if connections.is_own(holder.connection) {
            entry.item.recording = true;
            self.settlements.change(Change::Take { id });
            self.settlements.after(After::Taken {
                id,
                holder: consumer,
            });
        }
        if entry.item.body.is_none() {
            self.wanted.push(id);
        }
        self.flush(consumer, connections);
    }

    /// Delivers what is ready, in its order.
    fn flush(&mut self, id: ConsumerId, connections: &Connections) {
        let mut too_large = Vec::new();
        self.flush_but(id, connections, &mut too_large);
        for message in too_large {
            self.set_aside(message, "it is larger than a frame of the hub");
        }
    }

    /// Delivers all but those that are too large.
    fn flush_but(
        &mut self,
        id: ConsumerId,
        connections: &Connections,
        too_large: &mut Vec<MessageId>,
    ) {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        while let Some(message) = consumer.outbox.front().copied() {
            let Some(entry) = self.ledger.get_mut(message) else {
                consumer.outbox.pop_front();
                continue;
            };
            if !entry.item.is_deliverable() {
                return;
            }
            consumer.outbox.pop_front();
            let Some(body) = Cache::lend(&mut entry.item) else {
                continue;
            };
            if letter_size(body.payload.len(), &body.headers) > MAX_LETTER {
                too_large.push(message);
                continue;
            }
            deliver(
                consumer,
                connections,
                filled(letter_of(message, entry), body),
            );
        }
    }

    /// Takes a message that cannot be delivered out of its queue, so that the others go on. It stays in the store.
    pub(super) fn set_aside(&mut self, id: MessageId, why: &str) {
        let holder = self.ledger.get(id).and_then(|entry| entry.item.holder);
        let entry = match holder {
            Some(holder) => self.landed(holder, id),
            None => self.ledger.remove(id),
        };
        let Some(mut entry) = entry else {
            return;
        };
        self.cache.evict(&mut entry.item);
        error!(
            id, queue = %entry.queue, why,
            "a message cannot be delivered and is set aside: it stays in the table `message` of `queues.sqlite`, and the next hub \
             tries again"
        );
    }
}

fn deliver(consumer: &Consumer, connections: &Connections, letter: Letter) {
    if let Some(connection) = connections.get(consumer.connection) {
        let consumer = consumer.id;
        connection
            .outgoing
            .send(HubFrame::Delivery { consumer, letter });
    }
}
