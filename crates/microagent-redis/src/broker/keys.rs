//! The names of the keys of a queue. The scripts in `lua/` describe the content of each key.
//!
//! The list has the queue's own name, which is what peers of any language know. Everything beside it starts with
//! `{queue}:`, so that all keys of a queue share a slot of a cluster and none collides with another queue's.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use microagent_core::driver::lock;

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(super) struct QueueKeys {
    pub(super) list: String,
    pub(super) inbox: String,
    pub(super) ids: String,
    pub(super) due: String,
    pub(super) later: String,
    pub(super) meta: String,
    pub(super) leases: String,
    pub(super) suspects: String,
    pub(super) why: String,
    pub(super) bad: String,
}

impl QueueKeys {
    pub(super) fn of(queue: &str) -> Self {
        let beside = |what: &str| format!("{{{queue}}}:{what}");
        Self {
            list: queue.to_owned(),
            inbox: beside("inbox"),
            ids: beside("ids"),
            due: beside("due"),
            later: beside("later"),
            meta: beside("meta"),
            leases: beside("leases"),
            suspects: beside("suspects"),
            why: beside("why"),
            bad: beside("bad"),
        }
    }

    /// Returns the key of the messages that a consumer has in flight.
    pub(super) fn taken(&self, consumer: &str) -> String {
        format!("{{{}}}:taken:{consumer}", self.list)
    }

    /// Returns the key of the messages that a blocking move of an earlier version has put aside for a consumer.
    pub(super) fn old_inbox(&self, consumer: &str) -> String {
        format!("{{{}}}:inbox:{consumer}", self.list)
    }

    /// Returns the prefix of the names of all keys beside the list.
    pub(super) fn beside(&self) -> String {
        format!("{{{}}}:", self.list)
    }

    /// Returns the pattern of the names of the keys of consumers.
    pub(super) fn of_consumers(&self) -> String {
        let mut pattern = String::new();
        for letter in self.beside().chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern + "*:*"
    }
}

/// Returns the key of a lease of a schedule. Queues cannot have such a name.
pub(super) fn lease(key: &str) -> String {
    format!("microagent:lease:{key}")
}

/// One consumer as the server knows it: unique per start of a process, and renewed when its lease was lost, so that a late
/// acknowledgement never meets somebody else's message.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) queue: Arc<QueueKeys>,
    pub(super) consumer: String,
    pub(super) taken: String,
    joined: AtomicBool,
    /// The ids of its messages that this process knows of, each with how often: a message that comes back before its last
    /// settlement is confirmed is there twice.
    known: Mutex<HashMap<u64, u32>>,
}

impl Identity {
    pub(super) fn new(queue: &Arc<QueueKeys>) -> Self {
        let consumer = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self {
            taken: queue.taken(&consumer),
            queue: Arc::clone(queue),
            consumer,
            joined: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }

    /// Returns true if the server has confirmed a lease for it.
    pub(super) fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Acquire)
    }

    pub(super) fn set_joined(&self) {
        self.joined.store(true, Ordering::Release);
    }

    /// Returns the ids that this process knows of.
    pub(super) fn known_ids(&self) -> Vec<u64> {
        self.lock().keys().copied().collect()
    }

    pub(super) fn register(self: &Arc<Self>, id: u64) -> KnownMessage {
        *self.lock().entry(id).or_default() += 1;
        let identity = Arc::clone(self);
        KnownMessage { identity, id }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        lock(&self.known)
    }
}

/// A message that this process knows of, until this is dropped.
#[derive(Debug)]
pub(super) struct KnownMessage {
    pub(super) identity: Arc<Identity>,
    pub(super) id: u64,
}

impl Drop for KnownMessage {
    fn drop(&mut self) {
        if let Entry::Occupied(mut times) = self.identity.lock().entry(self.id) {
            *times.get_mut() -= 1;
            if *times.get() == 0 {
                times.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_queue_and_the_rest_stands_beside_it() {
        let keys = QueueKeys::of("mailer");
        assert_eq!(keys.list, "mailer");
        assert_eq!(keys.due, "{mailer}:due");
        assert_eq!(keys.taken("c1"), "{mailer}:taken:c1");
    }

    #[test]
    fn two_consumers_never_share_an_identity() {
        let keys = Arc::new(QueueKeys::of("mailer"));
        assert_ne!(Identity::new(&keys).consumer, Identity::new(&keys).consumer);
    }

    #[test]
    fn a_pattern_means_the_letters_of_the_queue() {
        assert_eq!(QueueKeys::of("a*[b").of_consumers(), r"{a\*\[b}:*:*");
    }

    #[test]
    fn a_message_is_known_until_its_last_holder_is_gone() {
        let identity = Arc::new(Identity::new(&Arc::new(QueueKeys::of("mailer"))));
        let (first, again) = (identity.register(7), identity.register(7));
        drop(first);
        assert_eq!(identity.known_ids(), [7]);
        drop(again);
        assert!(identity.known_ids().is_empty());
    }
}
