//! The leases: which holder has a key, and until when. They are durable, because the replicas that compete for
//! a key outlive the hub.

use std::time::{Duration, SystemTime};

use foldhash::HashMap;
use tokio::time::Instant;

use super::{Queues, writes::FollowUp};
use crate::{
    hub::{
        connections::{Connections, ReplyTarget},
        time::{Now, Shift},
    },
    store::{Change, StoredLease},
};

/// The longest lease. Clocks can compute with it.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The holder of a key.
#[derive(Clone, Debug)]
pub(crate) struct LeaseState {
    holder: String,
    until: Instant,
    /// The wall-clock time at which it ends, if an earlier hub has granted it. A lease of this hub follows its
    /// timer alone.
    granted_until: Option<SystemTime>,
}

/// All leases by key. Those that have ended are removed with the next claim.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<String, LeaseState>);

impl Leases {
    pub(super) fn load(&mut self, leases: Vec<StoredLease>, now: &Now) {
        for StoredLease { key, holder, until } in leases {
            // A lease that has ended is kept until it is removed from the store as well.
            let lease = LeaseState {
                holder,
                until: now.instant_of(until),
                granted_until: Some(until),
            };
            self.0.insert(key, lease);
        }
    }

    /// Converts the ends of all leases again, and returns those that the store must update.
    fn follow(&mut self, shift: &Shift) -> Vec<StoredLease> {
        let mut changed = Vec::new();
        for (key, lease) in &mut self.0 {
            if let Some(until) = lease.granted_until {
                lease.until = shift.now.instant_of(until);
                continue;
            }
            lease.until = shift.corrected(lease.until);
            changed.push(StoredLease {
                key: key.clone(),
                holder: lease.holder.clone(),
                until: shift.now.wall_of(lease.until),
            });
        }
        changed
    }

    /// Restores the state of a key whose claim could not be written.
    pub(super) fn restore(&mut self, key: String, before: Option<LeaseState>) {
        match before {
            Some(lease) => self.0.insert(key, lease),
            None => self.0.remove(&key),
        };
    }

    /// Gives the key to the holder until `ttl` has passed.
    ///
    /// # Errors
    /// The time for which another holder has it, in whole milliseconds, as it travels; never zero.
    fn claim(
        &mut self,
        key: &str,
        holder: &str,
        ttl: Duration,
        now: &Now,
    ) -> Result<Claim, Duration> {
        if let Some(left) = self.left(key, holder, now.instant) {
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            return Err(Duration::from_millis(millis.max(1)));
        }
        let ended = self.take_ended(now.instant).into_iter();
        let mut changes: Vec<_> = ended.map(|key| Change::Release { key }).collect();
        let ttl = ttl.min(LONGEST);
        let lease = LeaseState {
            holder: holder.to_owned(),
            until: now.instant + ttl,
            granted_until: None,
        };
        let before = self.0.insert(key.to_owned(), lease);
        changes.push(Change::Lease(StoredLease {
            key: key.to_owned(),
            holder: holder.to_owned(),
            until: now.wall + ttl,
        }));
        Ok(Claim { changes, before })
    }

    /// Returns for how long another holder has the key.
    fn left(&self, key: &str, holder: &str, now: Instant) -> Option<Duration> {
        let lease = self.0.get(key).filter(|lease| lease.holder != holder)?;
        Some(lease.until.duration_since(now)).filter(|left| !left.is_zero())
    }

    fn take_ended(&mut self, now: Instant) -> Vec<String> {
        let ended = self.0.extract_if(|_, lease| lease.until <= now);
        ended.map(|(key, _)| key).collect()
    }
}

/// A claim that was granted, and is to be written.
#[derive(Debug)]
struct Claim {
    changes: Vec<Change>,
    /// The state of the key before, which returns if the claim cannot be written.
    before: Option<LeaseState>,
}

impl Queues {
    pub(super) fn follow_leases(&mut self, shift: &Shift) {
        for leased in self.leases.follow(shift) {
            self.writes.change_only(Change::Lease(leased));
        }
    }

    /// Grants a lease, unless another holder has the key.
    pub(crate) fn lease(
        &mut self,
        target: ReplyTarget,
        key: &str,
        holder: &str,
        ttl: Duration,
        connections: &Connections,
    ) {
        match self.leases.claim(key, holder, ttl, &self.time.now()) {
            Err(left) => connections.lease(target, Some(left)),
            Ok(Claim { changes, before }) => {
                for change in changes {
                    self.writes.change_only(change);
                }
                let key = key.to_owned();
                self.writes.after(FollowUp::StoredLease {
                    target,
                    key,
                    before,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{clocks::SystemClocks, hub::time::Time};

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn a_key_has_one_holder_until_its_lease_ends() {
        let now = Time::new(Arc::new(SystemClocks)).now();
        let mut leases = Leases::default();
        let claim = leases.claim("key", "one", TTL, &now).unwrap();
        assert!(claim.before.is_none());
        assert_eq!(leases.claim("key", "other", TTL, &now).unwrap_err(), TTL);
        assert!(leases.claim("key", "one", TTL, &now).is_ok());

        let mut later = now;
        later.instant += TTL;
        let claim = leases.claim("key", "other", TTL, &later).unwrap();
        assert!(matches!(&claim.changes[0], Change::Release { key } if key == "key"));
    }

    #[test]
    fn a_claim_that_cannot_be_written_leaves_the_key_as_it_was() {
        let now = Time::new(Arc::new(SystemClocks)).now();
        let mut leases = Leases::default();
        let first = leases.claim("key", "one", TTL, &now).unwrap();
        let second = leases.claim("key", "one", 2 * TTL, &now).unwrap();
        leases.restore("key".to_owned(), second.before);
        assert_eq!(leases.left("key", "other", now.instant), Some(TTL));
        leases.restore("key".to_owned(), first.before);
        assert!(leases.claim("key", "other", TTL, &now).is_ok());
    }
}
