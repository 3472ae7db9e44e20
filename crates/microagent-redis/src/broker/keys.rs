//! The names of the keys of a queue. What each holds is told in the scripts, in `lua/`.
//!
//! The list has the queue's own name, which is what peers of any language know. Everything beside it starts with
//! `{queue}:`, so that all keys of a queue share a slot of a cluster and none collides with another queue's.

use std::sync::Arc;

/// The keys of one queue.
#[derive(Clone, Debug)]
pub(super) struct QueueKeys {
    pub(super) list: String,
    pub(super) ids: String,
    pub(super) due: String,
    pub(super) later: String,
    pub(super) meta: String,
    pub(super) leases: String,
    pub(super) suspects: String,
    pub(super) why: String,
}

impl QueueKeys {
    pub(super) fn of(queue: &str) -> Self {
        let beside = |what: &str| format!("{{{queue}}}:{what}");
        Self {
            list: queue.to_owned(),
            ids: beside("ids"),
            due: beside("due"),
            later: beside("later"),
            meta: beside("meta"),
            leases: beside("leases"),
            suspects: beside("suspects"),
            why: beside("why"),
        }
    }

    /// What a consumer has in flight.
    pub(super) fn taken(&self, consumer: &str) -> String {
        format!("{{{}}}:taken:{consumer}", self.list)
    }

    /// What a blocking move has put aside for a consumer.
    pub(super) fn inbox(&self, consumer: &str) -> String {
        format!("{{{}}}:inbox:{consumer}", self.list)
    }
}

/// The key of a lease of a schedule. No queue has such a name.
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
    pub(super) inbox: String,
}

impl Identity {
    pub(super) fn new(queue: &Arc<QueueKeys>) -> Self {
        let consumer = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        Self {
            taken: queue.taken(&consumer),
            inbox: queue.inbox(&consumer),
            queue: Arc::clone(queue),
            consumer,
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
}
