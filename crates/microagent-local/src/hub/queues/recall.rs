//! Takes messages back that are handed out and not delivered yet, because the hub is to end.

use super::Queues;
use crate::hub::connections::Connections;

impl Queues {
    /// Returns how many messages are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.consumers.in_flight()
    }

    /// Takes back the messages that are handed out and not delivered yet.
    pub(crate) fn recall(&mut self, connections: &Connections) {
        for (consumer, connection, message) in self.consumers.undelivered() {
            if let Some(entry) = self.take_back(consumer, message) {
                self.give_back(message, entry, connections.is_own(connection));
            }
        }
    }
}
