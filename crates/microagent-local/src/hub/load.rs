//! What the store knows becomes the hub's queues when it starts.

use std::time::SystemTime;

use microagent_core::ledger::Place;
use tokio::time::Instant;

use super::{item::Item, queues::Queues};
use crate::store::{Change, Snapshot, Stored};

impl Queues {
    /// The queues as they were left, in the order of arrival. What the process of the last host had in flight when it died is
    /// suspect from now on, durably.
    pub(super) fn load(snapshot: Snapshot) -> Self {
        let mut queues = Self {
            next_id: snapshot.next_id,
            ..Self::default()
        };
        for queue in &snapshot.queues {
            let queue = queues.ledger.line(queue);
            queues.declared.insert(queue);
        }
        queues.leases.load(snapshot.leases);
        for message in snapshot.messages {
            queues.restore(message);
        }
        queues
    }

    fn restore(&mut self, message: Stored) {
        let mut crashes = message.crashes;
        if message.taken {
            crashes += 1;
            self.settlements.change(Change::Suspect {
                id: message.id,
                crashes,
            });
        }
        let place = match message.due.and_then(remaining) {
            Some(due) => Place::Delayed(due),
            None if crashes > 0 => Place::Suspect(crashes),
            None => Place::Tail,
        };
        let mut item = Item::stored(message.attempt);
        item.first_failure = message.first_failure;
        self.ledger.put(message.id, &message.queue, item, place);
        if let Some(entry) = self.ledger.get_mut(message.id) {
            entry.crashes = crashes;
        }
    }
}

/// When this instant of the wall clock is; none when it has passed.
pub(super) fn remaining(due: SystemTime) -> Option<Instant> {
    let left = due.duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
}
