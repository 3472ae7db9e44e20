//! Loads the queues from the store when a hub starts.

use microagent_core::ledger::Position;

use super::{Queues, item::Item};
use crate::{
    hub::time::{Now, Time},
    store::{Change, Snapshot, StoredMessage},
};

impl Queues {
    /// Returns the queues of the store, with their messages in the order of arrival. Messages that the process
    /// of the last host had in flight when it died are suspect from now on, durably.
    pub(crate) fn load(snapshot: Snapshot, time: Time) -> Self {
        let now = time.now();
        let mut queues = Self::new(snapshot.next_id, time);
        for queue in &snapshot.queues {
            let queue = queues.ledger.queue(queue);
            queues.declared.insert(queue);
        }
        queues.leases.load(snapshot.leases, &now);
        for message in snapshot.messages {
            queues.restore(message, &now);
        }
        queues
    }

    fn restore(&mut self, message: StoredMessage, now: &Now) {
        let mut crashes = message.crashes;
        if message.taken {
            crashes += 1;
            self.writes.change_only(Change::Suspect {
                id: message.id,
                crashes,
            });
        }
        let due = message.due.filter(|due| *due > now.wall);
        let place = match due {
            Some(due) => Position::Delayed(now.instant_of(due)),
            None if crashes > 0 => Position::Suspect(crashes),
            None => Position::Tail,
        };
        let mut item = Item::stored(message.attempt, message.bytes as usize);
        item.first_failure = message.first_failure;
        item.due = due;
        self.ledger.put(message.id, &message.queue, item, place);
        if let Some(entry) = self.ledger.get_mut(message.id) {
            entry.crashes = crashes;
        }
    }
}
