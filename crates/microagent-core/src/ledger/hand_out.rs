//! The choice of the next waiting message and its consumer: in turn, by credit, and suspects alone.

use std::sync::Arc;

use foldhash::HashMap;

use super::{
    Consumer, ConsumerId, HandOut, Ledger, MessageId, PeerId, entry::State, peer::Peer,
    queue_state::QueueState,
};

impl<T> Ledger<T> {
    /// Hands out one waiting message to one consumer with credit. Returns `None` if no message can be handed out.
    pub fn hand_out(&mut self) -> Option<HandOut> {
        while let Some(queue) = self.ripe.front().cloned() {
            if let Some(handed) = self.hand_out_of(&queue) {
                return Some(handed);
            }
            self.ripe.pop_front();
            if let Some(state) = self.queues.get_mut(&queue) {
                state.ripe = false;
            }
        }
        None
    }

    fn hand_out_of(&mut self, queue: &Arc<str>) -> Option<HandOut> {
        let Self {
            queues,
            entries,
            consumers,
            peers,
            ..
        } = self;
        let state = queues.get_mut(queue)?;
        promise_suspect(queue, state, consumers, peers);
        let handed = (0..state.consumers.len()).find_map(|_| {
            let id = state.whose_turn()?;
            let consumer = consumers.get_mut(&id)?;
            let peer = peers.get_mut(&consumer.peer)?;
            let message = offer(queue, state, consumer, peer)?;
            Some((message, id, consumer.peer))
        });
        let (id, consumer, peer) = handed?;
        if let Some(entry) = entries.get_mut(&id) {
            entry.state = State::InFlight(consumer, peer);
        }
        Some(HandOut { id, consumer })
    }
}

/// Hands out a message to this consumer, if the consumer may have one.
fn offer(
    queue: &Arc<str>,
    state: &mut QueueState,
    consumer: &mut Consumer,
    peer: &mut Peer,
) -> Option<MessageId> {
    if consumer.credit == 0 || !peer.may_take(queue) {
        return None;
    }
    let message = next_for(consumer.peer, peer, state)?;
    consumer.credit -= 1;
    peer.in_flight += 1;
    state.in_flight += 1;
    Some(message)
}

/// Promises a waiting suspect to the least busy peer that consumes its queue. This peer takes no other message
/// until it has nothing in flight, and then gets the suspect.
fn promise_suspect(
    queue: &Arc<str>,
    state: &mut QueueState,
    consumers: &HashMap<ConsumerId, Consumer>,
    peers: &mut HashMap<PeerId, Peer>,
) {
    if state.suspects.is_empty() || state.suspect_promised_to.is_some() {
        return;
    }
    let candidates = state
        .consumers
        .iter()
        .filter_map(|id| consumers.get(id))
        .map(|consumer| consumer.peer);
    let free = candidates.filter(|id| peers.get(id).is_some_and(Peer::is_free));
    let chosen = free.min_by_key(|id| peers.get(id).map_or(usize::MAX, |peer| peer.in_flight));
    if let Some(peer) = chosen.and_then(|id| peers.get_mut(&id)) {
        state.suspect_promised_to = chosen;
        peer.promise(queue);
    }
}

/// Removes and returns the next message of the queue for this peer: the suspect, if one was promised to the peer.
fn next_for(id: PeerId, peer: &mut Peer, state: &mut QueueState) -> Option<MessageId> {
    let promised_to = state
        .suspect_promised_to
        .take_if(|promised_to| *promised_to == id);
    if promised_to.is_none() {
        return state.next();
    }
    let suspect = state.suspects.pop_first();
    peer.keep_promise(suspect.is_some());
    suspect
}
