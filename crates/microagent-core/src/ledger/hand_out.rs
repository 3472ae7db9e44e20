//! Which waiting message goes to which consumer next: in turn, by credit, and suspects alone.

use std::sync::Arc;

use super::{ConsumerId, Handed, Ledger, MessageId, PeerId, entry::State, line::Line, peer::Peer};

impl<T> Ledger<T> {
    /// Gives one waiting message to one consumer with credit; none when nothing can be given.
    pub fn hand_out(&mut self) -> Option<Handed> {
        while let Some(queue) = self.ripe.front().cloned() {
            if let Some(handed) = self.hand_out_of(&queue) {
                return Some(handed);
            }
            self.ripe.pop_front();
            if let Some(line) = self.lines.get_mut(&queue) {
                line.ripe = false;
            }
        }
        None
    }

    fn hand_out_of(&mut self, queue: &Arc<str>) -> Option<Handed> {
        self.court(queue);
        let consumers = self.lines.get(queue)?.consumers.len();
        (0..consumers).find_map(|_| {
            let consumer = self.lines.get_mut(queue)?.whose_turn()?;
            self.offer(queue, consumer)
        })
    }

    /// Gives this consumer a message, if it may have one.
    fn offer(&mut self, queue: &Arc<str>, id: ConsumerId) -> Option<Handed> {
        let line = self.lines.get_mut(queue)?;
        let consumer = self.consumers.get_mut(&id)?;
        let peer = self.peers.get_mut(&consumer.peer)?;
        if consumer.credit == 0 || !peer.may_take(queue) {
            return None;
        }
        let message = next_for(consumer.peer, peer, line)?;
        consumer.credit -= 1;
        peer.in_flight += 1;
        line.in_flight += 1;
        if let Some(entry) = self.entries.get_mut(&message) {
            entry.state = State::InFlight(id, consumer.peer);
        }
        Some(Handed {
            id: message,
            consumer: id,
        })
    }

    /// Where a suspect waits, chooses the least busy peer that consumes its queue: it takes nothing more until it
    /// has nothing in flight, and gets the suspect then.
    fn court(&mut self, queue: &Arc<str>) {
        let Some(line) = self.lines.get_mut(queue) else {
            return;
        };
        if line.suspects.is_empty() || line.courting.is_some() {
            return;
        }
        let candidates = line
            .consumers
            .iter()
            .filter_map(|id| self.consumers.get(id))
            .map(|consumer| consumer.peer);
        let free = candidates.filter(|id| self.peers.get(id).is_some_and(Peer::is_free));
        let chosen =
            free.min_by_key(|id| self.peers.get(id).map_or(usize::MAX, |peer| peer.in_flight));
        if let Some(peer) = chosen.and_then(|id| self.peers.get_mut(&id)) {
            line.courting = chosen;
            peer.promise(queue);
        }
    }
}

/// The next message of the queue for this peer: the suspect, where one was promised to it.
fn next_for(id: PeerId, peer: &mut Peer, line: &mut Line) -> Option<MessageId> {
    let courted = line.courting.take_if(|courted| *courted == id);
    if courted.is_none() {
        return line.next();
    }
    let suspect = line.suspects.pop_first();
    peer.keep_promise(suspect.is_some());
    suspect
}
