//! Takes messages back that are handed out and not delivered yet, because the hub is to end.

use microagent_core::ledger::{ConsumerId, MessageId};

use super::Queues;
use crate::hub::connections::{ConnectionId, Connections};

impl Queues {
    /// Returns how many messages are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        let consumers = self.consumers.values();
        consumers.map(|consumer| consumer.in_flight.len()).sum()
    }

    /// Takes back what is handed out and not on its way yet.
    pub(crate) fn recall(&mut self, connections: &Connections) {
        let consumers = self.consumers.iter();
        let waiting: Vec<(ConsumerId, ConnectionId, MessageId)> = consumers
            .flat_map(|(id, consumer)| {
                let outbox = consumer.outbox.iter();
                outbox.map(|message| (*id, consumer.connection, *message))
            })
            .collect();
        for (consumer, connection, message) in waiting {
            if let Some(entry) = self.landed(consumer, message) {
                self.give_back(message, entry, connections.is_own(connection));
            }
        }
    }
}
