//! The consumers of all connections: which messages each has in flight, and which of them wait to be delivered.

use std::{collections::VecDeque, sync::Arc};

use foldhash::{HashMap, HashSet};
use microagent_core::{
    ErrorKind,
    ledger::{ConsumerId, MessageId},
};

use crate::{
    hub::{connections::ConnectionId, outgoing::DeliveryWindow},
    protocol::{Failure, LocalId},
};

/// The most consumers of one connection.
const MAX_CONSUMERS: usize = 1000;

/// All consumers.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    by_id: HashMap<ConsumerId, Consumer>,
    /// The number of consumers of each connection.
    per_connection: HashMap<ConnectionId, usize>,
    /// Connections that have room for messages again.
    with_room: Vec<ConnectionId>,
}

/// One `consume` request of one connection.
#[derive(Debug)]
pub(super) struct Consumer {
    connection: ConnectionId,
    id: LocalId,
    /// True after the client has cancelled it. It is removed when its messages in flight are settled.
    cancelled: bool,
    in_flight: HashSet<MessageId>,
    /// The messages in flight that are not delivered yet, in their order.
    outbox: VecDeque<MessageId>,
    /// The number of messages at the front of the outbox for which the connection has room.
    claimed: usize,
    lent: Arc<DeliveryWindow>,
}

/// Returns the consumer of a connection with the client's number.
pub(super) fn consumer_id(connection: ConnectionId, id: LocalId) -> ConsumerId {
    ConsumerId(u64::from(connection.0) << 32 | u64::from(id))
}

impl Consumers {
    /// Adds a consumer.
    ///
    /// # Errors
    /// [`Refused`](ErrorKind::Refused) if its number is in use, and if the connection has too many consumers.
    pub(super) fn add(
        &mut self,
        (connection, id): (ConnectionId, LocalId),
        lent: &Arc<DeliveryWindow>,
    ) -> Result<(), Failure> {
        let consumer = consumer_id(connection, id);
        if self.by_id.contains_key(&consumer) {
            let text = format!("consumer {id} exists already on this connection");
            return Err(Failure::new(ErrorKind::Refused, text));
        }
        let consumers = self.per_connection.entry(connection).or_default();
        if *consumers >= MAX_CONSUMERS {
            let text =
                format!("too many consumers on one connection: expected at most {MAX_CONSUMERS}");
            return Err(Failure::new(ErrorKind::Refused, text));
        }
        *consumers += 1;
        let added = Consumer {
            connection,
            id,
            cancelled: false,
            in_flight: HashSet::default(),
            outbox: VecDeque::new(),
            claimed: 0,
            lent: lent.clone(),
        };
        self.by_id.insert(consumer, added);
        Ok(())
    }

    pub(super) fn get(&self, id: ConsumerId) -> Option<&Consumer> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.by_id.get_mut(&id)
    }

    /// Cancels a consumer. Returns the messages that it gives back, in their order: those that are not delivered yet, or all of
    /// them. Returns `None` if there is no such consumer.
    pub(super) fn cancel(&mut self, id: ConsumerId, all: bool) -> Option<Vec<MessageId>> {
        let consumer = self.by_id.get_mut(&id)?;
        consumer.cancelled = true;
        let mut messages: Vec<_> = if all {
            consumer.in_flight.iter().copied().collect()
        } else {
            consumer.outbox.iter().copied().collect()
        };
        messages.sort_unstable();
        Some(messages)
    }

    /// Removes the consumers of a connection. Returns false if it never had any.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) -> bool {
        if self.per_connection.remove(&connection).is_none() {
            return false;
        }
        self.by_id
            .retain(|_, consumer| consumer.connection != connection);
        true
    }

    /// Removes a message that is no longer in flight from the outbox. `claimed` is the room that it had on the connection.
    pub(super) fn withdraw(&mut self, id: ConsumerId, message: MessageId, claimed: Option<usize>) {
        let Some(consumer) = self.by_id.get_mut(&id) else {
            return;
        };
        let mut outbox = consumer.outbox.iter();
        if let Some(index) = outbox.position(|waiting| *waiting == message) {
            consumer.outbox.remove(index);
        }
        if let Some(cost) = claimed {
            consumer.claimed -= 1;
            self.give_back_room(id, cost);
        }
    }

    /// Gives room on the consumer's connection back that a message had which is not delivered.
    pub(super) fn give_back_room(&mut self, id: ConsumerId, cost: usize) {
        if let Some(consumer) = self.by_id.get(&id)
            && consumer.lent.give_back(cost)
        {
            self.with_room.push(consumer.connection);
        }
    }

    /// Removes a consumer that is cancelled and has nothing in flight.
    pub(super) fn remove_if_done(&mut self, id: ConsumerId) {
        let done = |consumer: &&Consumer| consumer.cancelled && consumer.in_flight.is_empty();
        if let Some(consumer) = self.by_id.get(&id).filter(done) {
            if let Some(consumers) = self.per_connection.get_mut(&consumer.connection) {
                *consumers -= 1;
            }
            self.by_id.remove(&id);
        }
    }

    /// Returns the connections that have room for messages again since the last call.
    pub(super) fn take_with_room(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.with_room)
    }

    /// Returns the consumers of a connection that have messages which wait for room on it.
    pub(super) fn waiting_for_room(&self, connection: ConnectionId) -> Vec<ConsumerId> {
        let consumers = self.by_id.iter();
        let waiting = consumers
            .filter(|(_, consumer)| consumer.connection == connection)
            .filter(|(_, consumer)| consumer.claimed < consumer.outbox.len());
        waiting.map(|(id, _)| *id).collect()
    }

    /// Returns all messages that are handed out and not delivered yet.
    pub(super) fn undelivered(&self) -> Vec<(ConsumerId, ConnectionId, MessageId)> {
        let consumers = self.by_id.iter();
        consumers
            .flat_map(|(id, consumer)| {
                let outbox = consumer.outbox.iter();
                outbox.map(|message| (*id, consumer.connection, *message))
            })
            .collect()
    }

    /// Returns how many messages are in flight.
    pub(super) fn in_flight(&self) -> usize {
        let consumers = self.by_id.values();
        consumers.map(|consumer| consumer.in_flight.len()).sum()
    }
}

impl Consumer {
    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Returns the number that the client gave it.
    pub(super) fn id(&self) -> LocalId {
        self.id
    }

    /// Appends a message that is handed out to the outbox.
    pub(super) fn push(&mut self, message: MessageId) {
        self.in_flight.insert(message);
        self.outbox.push_back(message);
    }

    /// Removes a message from those in flight. Returns false if it is not one of them.
    pub(super) fn end_flight(&mut self, message: MessageId) -> bool {
        self.in_flight.remove(&message)
    }

    /// Returns the next message that needs room on the connection, if the connection has any.
    pub(super) fn next_to_claim(&self) -> Option<MessageId> {
        let message = self.outbox.get(self.claimed).copied()?;
        (!self.lent.is_full()).then_some(message)
    }

    /// Claims room on the connection for the [next](Self::next_to_claim) message.
    pub(super) fn claim(&mut self, cost: usize) {
        self.lent.lend(cost);
        self.claimed += 1;
    }

    /// Removes the [next](Self::next_to_claim) message, which is no longer in the ledger.
    pub(super) fn skip(&mut self) {
        self.outbox.remove(self.claimed);
    }

    /// Returns the message that is delivered next.
    pub(super) fn front(&self) -> Option<MessageId> {
        self.outbox.front().copied()
    }

    /// Removes the message that is delivered now. Its room is given back when it was written to the peer.
    pub(super) fn pop(&mut self) {
        self.outbox.pop_front();
        self.claimed -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::outgoing::MAX_DELIVERY_WINDOW;

    const CONNECTION: ConnectionId = ConnectionId(7);

    #[test]
    fn room_is_claimed_in_order_and_given_back_by_messages_that_are_withdrawn() {
        let (mut consumers, lent) = (Consumers::default(), Arc::<DeliveryWindow>::default());
        consumers.add((CONNECTION, 1), &lent).unwrap();
        let id = consumer_id(CONNECTION, 1);
        let consumer = consumers.get_mut(id).unwrap();
        consumer.push(1);
        consumer.push(2);
        assert_eq!(consumer.next_to_claim(), Some(1));
        consumer.claim(MAX_DELIVERY_WINDOW);
        assert_eq!(consumer.next_to_claim(), None, "the connection is full");
        assert_eq!(consumers.waiting_for_room(CONNECTION), [id]);

        assert!(consumers.get_mut(id).unwrap().end_flight(1));
        consumers.withdraw(id, 1, Some(MAX_DELIVERY_WINDOW));
        assert_eq!(consumers.take_with_room(), [CONNECTION]);
        assert_eq!(consumers.get(id).unwrap().next_to_claim(), Some(2));
    }

    #[test]
    fn a_cancelled_consumer_is_removed_when_nothing_of_it_is_in_flight() {
        let (mut consumers, lent) = (Consumers::default(), Arc::<DeliveryWindow>::default());
        consumers.add((CONNECTION, 1), &lent).unwrap();
        let failure = consumers.add((CONNECTION, 1), &lent).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::Refused);
        let id = consumer_id(CONNECTION, 1);
        consumers.get_mut(id).unwrap().push(1);
        assert_eq!(consumers.cancel(id, false), Some(vec![1]));
        consumers.remove_if_done(id);
        assert_eq!(consumers.in_flight(), 1);

        assert!(consumers.get_mut(id).unwrap().end_flight(1));
        consumers.remove_if_done(id);
        assert!(consumers.get(id).is_none() && consumers.add((CONNECTION, 1), &lent).is_ok());
    }
}
