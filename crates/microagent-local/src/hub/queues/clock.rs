//! Converts the times of messages and leases again after somebody set the clock.

use super::Queues;
use crate::{hub::time::Shift, store::Change};

impl Queues {
    /// Converts all times again if somebody set the wall clock.
    pub(crate) fn follow_clock(&mut self) {
        if let Some(shift) = self.time.check() {
            self.follow_delays(&shift);
            self.follow_leases(&shift);
        }
    }

    /// A delay of an earlier hub ends at its wall-clock time. One of this hub ends with its timer, and the store gets the
    /// wall-clock time that this is now, for the next hub.
    fn follow_delays(&mut self, shift: &Shift) {
        let writes = &mut self.writes;
        self.ledger
            .reschedule(|id, entry, timer| match entry.item.due {
                Some(due) => shift.now.instant_of(due),
                None => {
                    let timer = shift.corrected(timer);
                    let due = shift.now.wall_of(timer);
                    writes.change_only(Change::Reschedule { id, due });
                    timer
                }
            });
    }
}
