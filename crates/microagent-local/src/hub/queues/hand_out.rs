//! Delivers messages to consumers, and does what must happen before a delivery.
//!
//! A body that is not in memory is read first. For the host's own process the hand-out is recorded first,
//! because no other process would notice the host's death. The deliveries of a consumer keep their order.

use microagent_core::ledger::{ConsumerId, HandOut, MessageId};
use tracing::{error, warn};

use super::{
    Queues,
    bodies::{BodiesRead, Reads},
    item::{filled, wire_message_of},
    writes::FollowUp,
};
use crate::{
    hub::connections::{ConnectionId, Connections},
    log_limit::LogLimit,
    protocol::{HubFrame, MAX_MESSAGE, WireMessage, message_size},
    store::{Change, Writer},
};

static UNREAD_LIMIT: LogLimit = LogLimit::new();
static ASIDE_LIMIT: LogLimit = LogLimit::new();

/// The message that a consumer gets next.
struct Ready {
    id: MessageId,
    cost: usize,
    /// `None` if it is too large for a frame.
    message: Option<WireMessage>,
}

impl Queues {
    /// Hands out all messages for which a consumer is ready.
    pub(crate) fn hand_out(&mut self, connections: &Connections) {
        while let Some(on_hand_out) = self.ledger.hand_out() {
            self.on_hand_out(on_hand_out, connections);
        }
    }

    /// Starts to read the bodies that are wanted.
    pub(crate) fn read(&mut self, writer: &Writer, reads: &mut Reads) {
        self.bodies.read(writer, reads);
    }

    /// Handles bodies that were read, for the messages that still need them.
    pub(crate) fn on_bodies_read(
        &mut self,
        (target, on_bodies_read): BodiesRead,
        connections: &Connections,
    ) {
        let mut bodies = match on_bodies_read {
            Ok(bodies) => bodies.into_iter().peekable(),
            Err(error) => {
                if let Some(omitted) = UNREAD_LIMIT.admit() {
                    warn!(%error, omitted, "cannot read messages from the store; retrying");
                }
                self.bodies.fail(target);
                return;
            }
        };
        for id in target {
            let body = bodies.next_if(|(next, _)| *next == id);
            let Some(entry) = self.ledger.get_mut(id) else {
                continue;
            };
            let Some(holder) = entry.item.holder_without_body() else {
                continue;
            };
            match body {
                Some((_, body)) => entry.item.fill(body),
                None => self.set_aside(id, "its body cannot be read"),
            }
            self.flush(holder, connections);
        }
    }

    /// Reads the bodies again that could not be read.
    pub(crate) fn want_again(&mut self) {
        self.bodies.retry();
    }

    /// Handles the outcome of recording a hand-out to the host's own process. If it could not be recorded the
    /// message is delivered as well; then a crash of the host would go unnoticed.
    pub(super) fn recorded(
        &mut self,
        id: MessageId,
        holder: ConsumerId,
        connections: &Connections,
    ) {
        let Some(entry) = self.ledger.get_mut(id) else {
            return;
        };
        if entry.item.holder() == Some(holder) {
            entry.item.end_recording();
            self.flush(holder, connections);
        }
    }

    fn on_hand_out(&mut self, HandOut { id, consumer }: HandOut, connections: &Connections) {
        let (Some(entry), Some(holder)) =
            (self.ledger.get_mut(id), self.consumers.get_mut(consumer))
        else {
            error!(id, "a message was handed to a consumer that does not exist");
            return;
        };
        let own = connections.is_own(holder.connection());
        entry.item.hand_to(consumer, own);
        holder.push(id);
        if own {
            let after = FollowUp::Taken {
                id,
                holder: consumer,
            };
            self.writes.change(Change::Take { id }, after);
        }
        self.flush(consumer, connections);
    }

    /// Continues the deliveries that wait for room on a connection.
    pub(crate) fn has_room(&mut self, connection: ConnectionId, connections: &Connections) {
        for consumer in self.consumers.waiting_for_room(connection) {
            self.flush(consumer, connections);
        }
    }

    /// Uses the room of messages that were not delivered.
    pub(crate) fn use_room(&mut self, connections: &Connections) {
        for connection in self.consumers.take_with_room() {
            self.has_room(connection, connections);
        }
    }

    /// Reserves room on the connection for the messages of an outbox in their order, and requests their bodies.
    fn claim(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.get_mut(id) else {
            return;
        };
        while let Some(message) = consumer.next_to_claim() {
            let Some(entry) = self.ledger.get_mut(message) else {
                consumer.skip();
                continue;
            };
            consumer.claim(entry.item.cost());
            if entry.item.claim() {
                self.bodies.add(message);
            }
        }
    }

    /// Delivers the messages that are ready, in their order, while there is room on the connection.
    fn flush(&mut self, id: ConsumerId, connections: &Connections) {
        self.claim(id);
        while let Some(next) = self.next_ready(id) {
            let Some(consumer) = self.consumers.get_mut(id) else {
                return;
            };
            consumer.pop();
            match (next.message, connections.get(consumer.connection())) {
                (Some(message), Some(connection)) => {
                    let frame = HubFrame::Delivery {
                        consumer: consumer.id(),
                        message,
                    };
                    connection.outgoing.deliver(frame, next.cost);
                }
                (None, _) => {
                    self.consumers.give_back_room(id, next.cost);
                    self.set_aside(next.id, "it is larger than a frame of the hub");
                }
                (Some(_), None) => {}
            }
        }
    }

    /// Returns the first message of the outbox if it is ready. It counts as delivered then.
    fn next_ready(&mut self, id: ConsumerId) -> Option<Ready> {
        let message = self.consumers.get(id)?.front()?;
        let entry = self.ledger.get_mut(message)?;
        if !entry.item.is_deliverable() {
            return None;
        }
        let body = entry.item.deliver()?;
        let fits = message_size(body.payload.len(), &body.headers) <= MAX_MESSAGE;
        Some(Ready {
            id: message,
            cost: entry.item.cost(),
            message: fits.then(|| filled(wire_message_of(message, entry), body)),
        })
    }

    /// Removes a message that cannot be delivered from its queue, so that the others continue. It stays in the
    /// store.
    pub(super) fn set_aside(&mut self, id: MessageId, why: &str) {
        let holder = self.ledger.get(id).and_then(|entry| entry.item.holder());
        let entry = match holder {
            Some(holder) => self.take_back(holder, id),
            None => self.ledger.remove(id),
        };
        let Some(mut entry) = entry else {
            return;
        };
        self.cache.evict(&mut entry.item);
        let Some(omitted) = ASIDE_LIMIT.admit() else {
            return;
        };
        error!(
            id, omitted, queue = %entry.queue, why,
            "a message cannot be delivered and is set aside: it stays in the table `message` of `queues.sqlite`, and the next hub \
             tries again"
        );
    }
}
