//! Looking at what waits in a `memory://` server, and moving or removing it by hand.

use std::sync::Arc;

use tokio::time::Instant;

use super::Queues;
use crate::{
    Depth, Message, Queue, Selection, header,
    ledger::{Entry, Ledger, MessageId, Position},
};

impl Queues {
    pub(super) fn peek(&self, queue: &Queue, limit: usize) -> Vec<Message> {
        let mut state = self.state();
        state.ledger.wake(Instant::now());
        let ids = state.ledger.waiting(queue.name()).take(limit);
        ids.filter_map(|id| Some(state.ledger.get(id)?.item.clone()))
            .collect()
    }

    pub(super) fn requeue(self: &Arc<Self>, from: &Queue, to: &Queue, which: &Selection) -> u64 {
        let mut state = self.state();
        let moved = withdraw(&mut state.ledger, from, which);
        let count = moved.len() as u64;
        let name = state.ledger.queue(to.name());
        for (old_id, entry) in moved {
            let id = state.new_id();
            let chosen = entry.item.id().filter(|id| **id != old_id.to_string());
            let message_id = chosen.map_or_else(|| id.to_string(), str::to_owned);
            let mut message = Message::new(name.clone(), entry.item.payload().clone());
            message = message.with_id(message_id);
            if let Some(sent_at) = entry.item.sent_at() {
                message = message.with_sent_at(sent_at);
            }
            for (header, value) in entry.item.headers() {
                if !header::is_of_dead_letter(header) {
                    message = message.with_header(header, value);
                }
            }
            state.ledger.put(id, to.name(), message, Position::Tail);
        }
        self.hand_out(state);
        count
    }

    pub(super) fn purge(&self, queue: &Queue, which: &Selection) -> u64 {
        withdraw(&mut self.state().ledger, queue, which).len() as u64
    }

    pub(super) fn depth(&self, queue: &Queue) -> Depth {
        let mut state = self.state();
        state.ledger.wake(Instant::now());
        state.ledger.depth(queue.name())
    }
}

fn withdraw(
    ledger: &mut Ledger<Message>,
    queue: &Queue,
    which: &Selection,
) -> Vec<(MessageId, Entry<Message>)> {
    ledger.wake(Instant::now());
    let limit = match which {
        Selection::All => usize::MAX,
        Selection::First(limit) => usize::try_from(*limit).unwrap_or(usize::MAX),
        Selection::Id(id) => {
            let is_it = |at: &MessageId| {
                let entry = ledger.get(*at);
                entry.and_then(|entry| entry.item.id()) == Some(id)
            };
            let found = ledger.waiting(queue.name()).find(is_it);
            let entry = found.and_then(|id| Some((id, ledger.withdraw_one(queue.name(), id)?)));
            return entry.into_iter().collect();
        }
    };
    ledger.withdraw(queue.name(), limit)
}
