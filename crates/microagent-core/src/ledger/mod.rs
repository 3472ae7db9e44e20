//! The bookkeeping of queues, for drivers that have no server behind them: it records which consumer has which message.
//!
//! The ledger is pure: it does not read a clock, does not wait and does not know message bodies. `memory://` keeps
//! messages in the ledger; `local:` keeps the data that it needs to find them. The promises of
//! [`QueueBroker`](crate::QueueBroker) about order, prefetch and suspects hold for both drivers, because the ledger
//! keeps them.

mod entry;
mod hand_out;
mod peer;
mod queue_state;
#[cfg(test)]
mod tests;

use std::{
    collections::{self, BTreeSet, VecDeque},
    sync::Arc,
};

use foldhash::HashMap;
use tokio::time::Instant;

pub use self::entry::{ConsumerId, Entry, HandOut, MessageId, PeerId, Position};
use self::{
    entry::{InOrder, State},
    peer::Peer,
    queue_state::QueueState,
};
use crate::Depth;

/// The messages of all queues, each in one place: waiting, delayed, or in flight at one consumer.
///
/// `T` is the driver's own data about a message.
///
/// ```
/// use microagent_core::ledger::{ConsumerId, Ledger, PeerId, Position};
///
/// let mut ledger = Ledger::new();
/// ledger.put(1, "mailer", "the first mail", Position::Tail);
/// ledger.join(ConsumerId(1), PeerId(1), "mailer", 8);
///
/// let handed = ledger.hand_out().unwrap();
/// assert_eq!((handed.id, handed.consumer), (1, ConsumerId(1)));
/// assert_eq!(ledger.take(1, PeerId(1)).unwrap().item, "the first mail");
/// ```
#[derive(Debug)]
pub struct Ledger<T> {
    queues: HashMap<Arc<str>, QueueState>,
    /// Boxed, because a table that grows moves its entries.
    entries: collections::HashMap<MessageId, Box<Entry<T>>, InOrder>,
    delayed: BTreeSet<(Instant, MessageId)>,
    consumers: HashMap<ConsumerId, Consumer>,
    peers: HashMap<PeerId, Peer>,
    /// The queues from which a message may be handed out.
    ripe: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Consumer {
    queue: Arc<str>,
    peer: PeerId,
    credit: usize,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self {
            queues: HashMap::default(),
            entries: collections::HashMap::default(),
            delayed: BTreeSet::new(),
            consumers: HashMap::default(),
            peers: HashMap::default(),
            ripe: VecDeque::new(),
        }
    }
}

impl<T> Ledger<T> {
    /// Creates a ledger without queues.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a message into a queue. Creates the queue if it does not exist.
    pub fn put(&mut self, id: MessageId, queue: &str, item: T, place: Position) {
        let queue = self.queue(queue);
        let crashes = match place {
            Position::Suspect(crashes) => crashes,
            Position::Tail | Position::Head | Position::Delayed(_) => 0,
        };
        let entry = Entry {
            queue,
            crashes,
            item,
            state: State::Waiting,
        };
        self.enter(id, entry, place);
    }

    /// Puts a message that was [taken](Self::take) out back into its queue. The message keeps its earlier crashes.
    pub fn put_back(&mut self, id: MessageId, entry: Entry<T>, place: Position) {
        self.enter(id, entry, place);
    }

    /// Removes and returns a message that is in flight at this peer. Returns `None` if the message is not, or no longer,
    /// in flight there.
    pub fn take(&mut self, id: MessageId, peer: PeerId) -> Option<Entry<T>> {
        match self.entries.get(&id)?.state {
            State::InFlight(consumer, holder) if holder == peer => {
                let entry = *self.entries.remove(&id)?;
                self.left_flight(&entry.queue);
                self.landed(consumer, peer);
                Some(entry)
            }
            _ => None,
        }
    }

    /// Removes and returns a message that waits or is delayed. This method searches the queue, so it is for rare cases
    /// only.
    pub fn remove(&mut self, id: MessageId) -> Option<Entry<T>> {
        if matches!(self.entries.get(&id)?.state, State::InFlight(..)) {
            return None;
        }
        let entry = *self.entries.remove(&id)?;
        let state = self.queues.get_mut(&entry.queue)?;
        if matches!(entry.state, State::Delayed) {
            self.delayed.retain(|(_, delayed)| *delayed != id);
            state.delayed -= 1;
        } else {
            state.withdraw_one(id);
        }
        Some(entry)
    }

    /// Returns the entry of a message.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<&Entry<T>> {
        self.entries.get(&id).map(Box::as_ref)
    }

    /// Returns the entry of a message, to change it.
    pub fn get_mut(&mut self, id: MessageId) -> Option<&mut Entry<T>> {
        self.entries.get_mut(&id).map(Box::as_mut)
    }

    /// Adds a consumer that may have `credit` messages in flight.
    pub fn join(&mut self, consumer: ConsumerId, peer: PeerId, queue: &str, credit: usize) {
        let queue = self.queue(queue);
        if let Some(state) = self.queues.get_mut(&queue) {
            state.consumers.push_back(consumer);
        }
        self.peers
            .entry(peer)
            .or_default()
            .consumers
            .insert(consumer);
        self.consumers.insert(
            consumer,
            Consumer {
                queue: queue.clone(),
                peer,
                credit,
            },
        );
        self.ripen(queue);
    }

    /// Ends a consumer. Its messages in flight stay in flight until they are taken out, or until its peer is lost.
    pub fn leave(&mut self, consumer: ConsumerId) {
        let Some(left) = self.consumers.remove(&consumer) else {
            return;
        };
        if let Some(state) = self.queues.get_mut(&left.queue) {
            state.consumers.retain(|id| *id != consumer);
            state.suspect_promised_to.take_if(|peer| *peer == left.peer);
        }
        let peer = self.peers.get_mut(&left.peer);
        let is_released = peer.is_some_and(|peer| {
            peer.consumers.remove(&consumer);
            peer.release(&left.queue)
        });
        if is_released {
            self.ripen_all_of(left.peer);
        }
        self.ripen(left.queue);
    }

    /// Ends a peer and returns the messages that it had in flight. The caller [puts them back](Self::put_back) as
    /// [suspects](Position::Suspect), or at the head if the peer ended in an orderly way.
    pub fn lost(&mut self, peer: PeerId) -> Vec<(MessageId, Entry<T>)> {
        let consumers = self.peers.remove(&peer).unwrap_or_default().consumers;
        let left = consumers.iter().filter_map(|id| self.consumers.remove(id));
        let queues: BTreeSet<_> = left.map(|consumer| consumer.queue).collect();
        for queue in queues {
            if let Some(state) = self.queues.get_mut(&queue) {
                state.consumers.retain(|id| !consumers.contains(id));
                state
                    .suspect_promised_to
                    .take_if(|promised_to| *promised_to == peer);
            }
            self.ripen(queue);
        }
        let held =
            |entry: &Entry<T>| matches!(entry.state, State::InFlight(_, holder) if holder == peer);
        let mut ids: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| held(entry))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        let mut entries = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(entry) = self.entries.remove(&id) {
                self.left_flight(&entry.queue);
                entries.push((id, *entry));
            }
        }
        entries
    }

    /// Moves the delayed messages that are due at `now` behind the waiting ones.
    pub fn wake(&mut self, now: Instant) {
        while let Some((due, id)) = self.delayed.first().copied().filter(|(due, _)| *due <= now) {
            self.delayed.remove(&(due, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.state = State::Waiting;
                let (queue, crashes) = (entry.queue.clone(), entry.crashes);
                if let Some(state) = self.queues.get_mut(&queue) {
                    state.delayed -= 1;
                }
                self.wait(id, queue, crashes, Position::Tail);
            }
        }
    }

    /// Changes the instants at which delayed messages are due. `due` gets each message with its current instant and
    /// returns the new instant.
    pub fn reschedule(
        &mut self,
        mut due: impl FnMut(MessageId, &mut Entry<T>, Instant) -> Instant,
    ) {
        let delayed = std::mem::take(&mut self.delayed);
        let rescheduled = delayed.into_iter().map(|(at, id)| {
            let entry = self.entries.get_mut(&id);
            (entry.map_or(at, |entry| due(id, entry, at)), id)
        });
        self.delayed = rescheduled.collect();
    }

    /// Returns the instant at which the next delayed message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Returns how many messages wait in a queue, without the messages in flight and the delayed ones.
    #[must_use]
    pub fn length(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, QueueState::len)
    }

    /// Returns how many messages a queue holds, by state.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Depth {
        let (waiting, in_flight, delayed) = match self.queues.get(queue) {
            Some(state) => (state.len(), state.in_flight, state.delayed),
            None => (0, 0, 0),
        };
        Depth {
            in_flight: Some(in_flight as u64),
            delayed: Some(delayed as u64),
            ..Depth::of_waiting(waiting as u64)
        }
    }

    /// Returns the messages that wait in a queue, in the order in which they would be handed out, suspects last.
    pub fn waiting(&self, queue: &str) -> impl Iterator<Item = MessageId> {
        self.queues
            .get(queue)
            .into_iter()
            .flat_map(QueueState::waiting)
    }

    /// Removes and returns up to `limit` waiting messages from the head of a queue. The ledger does not hold them until
    /// they are [put back](Self::put_back).
    pub fn withdraw(&mut self, queue: &str, limit: usize) -> Vec<(MessageId, Entry<T>)> {
        let Some(state) = self.queues.get_mut(queue) else {
            return Vec::new();
        };
        let ids: Vec<_> = std::iter::from_fn(|| state.withdraw())
            .take(limit)
            .collect();
        let entry = |id| Some((id, *self.entries.remove(&id)?));
        ids.into_iter().filter_map(entry).collect()
    }

    /// Removes and returns one message that waits in a queue, as [`withdraw`](Self::withdraw) does. Returns `None` if
    /// the message does not wait there.
    pub fn withdraw_one(&mut self, queue: &str, id: MessageId) -> Option<Entry<T>> {
        let waits = self.queues.get_mut(queue)?.withdraw_one(id);
        let entry = waits.then(|| self.entries.remove(&id))?;
        entry.map(|entry| *entry)
    }

    /// Creates a queue if it does not exist, and returns the name that its messages share.
    pub fn queue(&mut self, queue: &str) -> Arc<str> {
        if let Some((name, _)) = self.queues.get_key_value(queue) {
            return name.clone();
        }
        let name: Arc<str> = queue.into();
        self.queues.insert(name.clone(), QueueState::default());
        name
    }

    fn enter(&mut self, id: MessageId, mut entry: Entry<T>, place: Position) {
        let queue = entry.queue.clone();
        match place {
            Position::Delayed(due) => {
                if let Some(state) = self.queues.get_mut(&queue) {
                    state.delayed += 1;
                }
                entry.state = State::Delayed;
                self.delayed.insert((due, id));
                self.entries.insert(id, Box::new(entry));
                return;
            }
            Position::Suspect(crashes) => entry.crashes = crashes,
            Position::Tail | Position::Head => {}
        }
        entry.state = State::Waiting;
        let crashes = entry.crashes;
        self.entries.insert(id, Box::new(entry));
        self.wait(id, queue, crashes, place);
    }

    /// Adds a message to the waiting messages of its queue.
    fn wait(&mut self, id: MessageId, queue: Arc<str>, crashes: u32, place: Position) {
        let Some(state) = self.queues.get_mut(&queue) else {
            return;
        };
        if crashes > 0 {
            state.suspects.insert(id);
        } else if place == Position::Head {
            state.returned.insert(id);
        } else {
            state.ready.push_back(id);
        }
        if state.ripens() {
            self.ripe.push_back(queue);
        }
    }

    fn left_flight(&mut self, queue: &str) {
        if let Some(state) = self.queues.get_mut(queue) {
            state.in_flight -= 1;
        }
    }

    /// Records that a message of this consumer is no longer in flight.
    fn landed(&mut self, consumer: ConsumerId, peer: PeerId) {
        if let Some(consumer) = self.consumers.get_mut(&consumer) {
            consumer.credit += 1;
            let queue = consumer.queue.clone();
            self.ripen(queue);
        }
        let Some(peer_state) = self.peers.get_mut(&peer) else {
            return;
        };
        if peer_state.landed() {
            self.ripen_all_of(peer);
        }
    }

    fn ripen_all_of(&mut self, peer: PeerId) {
        let Some(peer) = self.peers.get(&peer) else {
            return;
        };
        let queues: Vec<_> = peer
            .consumers
            .iter()
            .filter_map(|id| self.consumers.get(id))
            .map(|consumer| consumer.queue.clone())
            .collect();
        for queue in queues {
            self.ripen(queue);
        }
    }

    fn ripen(&mut self, queue: Arc<str>) {
        if self.queues.get_mut(&queue).is_some_and(QueueState::ripens) {
            self.ripe.push_back(queue);
        }
    }
}
