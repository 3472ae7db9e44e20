//! Who has which key, until when; durable, because the replicas that compete for it outlive the hub.

use std::time::{Duration, SystemTime};

use foldhash::HashMap;
use tokio::time::Instant;

use super::{Queues, confirm::After};
use crate::{
    hub::{
        connections::{Asked, Connections},
        time::{Now, Shift},
    },
    store::{Change, Leased},
};

/// The longest lease, in the arithmetic of clocks.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Somebody's claim on a key.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    holder: String,
    until: Instant,
    /// When it ends by the wall clock, if an earlier hub has granted it. A claim of this hub follows its timer alone.
    granted_until: Option<SystemTime>,
}

/// All claims by their keys; those that have ended are removed when somebody asks for any.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<String, Held>);

impl Leases {
    pub(super) fn load(&mut self, leases: Vec<Leased>, now: &Now) {
        for Leased { key, holder, until } in leases {
            // One that has ended is kept until it is removed from the store as well.
            let held = Held {
                holder,
                until: now.instant_of(until),
                granted_until: Some(until),
            };
            self.0.insert(key, held);
        }
    }

    /// Converts the ends of all claims again, and returns those that the store must know.
    fn follow(&mut self, shift: &Shift) -> Vec<Leased> {
        let mut changed = Vec::new();
        for (key, held) in &mut self.0 {
            if let Some(until) = held.granted_until {
                held.until = shift.now.instant_of(until);
                continue;
            }
            held.until = shift.corrected(held.until);
            changed.push(Leased {
                key: key.clone(),
                holder: held.holder.clone(),
                until: shift.now.wall_of(held.until),
            });
        }
        changed
    }

    /// A claim could not be written down.
    pub(super) fn restore(&mut self, key: String, before: Option<Held>) {
        match before {
            Some(held) => self.0.insert(key, held),
            None => self.0.remove(&key),
        };
    }

    /// For how long another one has the key yet.
    fn left(&self, key: &str, holder: &str, now: Instant) -> Option<Duration> {
        let held = self.0.get(key).filter(|held| held.holder != holder)?;
        Some(held.until.duration_since(now)).filter(|left| !left.is_zero())
    }

    fn take_ended(&mut self, now: Instant) -> Vec<String> {
        let ended = self.0.extract_if(|_, held| held.until <= now);
        ended.map(|(key, _)| key).collect()
    }
}

impl Queues {
    pub(super) fn follow_leases(&mut self, shift: &Shift) {
        for leased in self.leases.follow(shift) {
            self.settlements.change(Change::Lease(leased));
        }
    }

    /// Gives a key to who asks, unless another one has it.
    pub(crate) fn lease(
        &mut self,
        asked: Asked,
        key: &str,
        holder: &str,
        ttl: Duration,
        connections: &Connections,
    ) {
        let Now { wall, instant, .. } = self.time.now();
        if let Some(left) = self.leases.left(key, holder, instant) {
            // Whole milliseconds, as they travel, and never none.
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            connections.lease(asked, Some(Duration::from_millis(millis.max(1))));
            return;
        }
        for key in self.leases.take_ended(instant) {
            self.settlements.change(Change::Release { key });
        }
        let (key, holder, ttl) = (key.to_owned(), holder.to_owned(), ttl.min(LONGEST));
        let held = Held {
            holder: holder.clone(),
            until: instant + ttl,
            granted_until: None,
        };
        let before = self.leases.0.insert(key.clone(), held);
        self.settlements.change(Change::Lease(Leased {
            key: key.clone(),
            holder,
            until: wall + ttl,
        }));
        self.settlements.after(After::Leased { asked, key, before });
    }
}
