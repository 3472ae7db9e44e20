//! Browsing: looking at waiting messages, moving and removing them without consuming them.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use microagent_core::{Result, ledger::MessageId};

use super::{
    Queues,
    item::{filled, letter_of},
    writes::{After, Then},
};
use crate::{
    hub::connections::{Asked, Connections},
    protocol::{Failure, Letter, MAX_LETTER, QueueCounts, letter_size},
    store::{Body, Change, Rewrite, Writer},
};

/// The most that is done for one request, so that others get their turn.
const MOST: u32 = 1000;

/// The most messages that are shown for one request.
const MOST_SHOWN: u32 = 16;

/// The most bytes that are shown for one request; the first message may be larger.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Messages that somebody looks at, and what is in them as far as they are still there.
#[derive(Debug)]
pub(crate) struct Look {
    asked: Asked,
    queue: String,
    range: (u32, u32),
    letters: Vec<Letter>,
    bodies: Result<Vec<(MessageId, Body)>>,
}

type Looking = Pin<Box<dyn Future<Output = Look> + Send>>;

/// Looks that are under way.
pub(crate) type Looks = FuturesUnordered<Looking>;

/// Which of the waiting messages of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// At most this many, from the head of the queue.
    First(u32),
    One(MessageId),
}

impl Queues {
    pub(crate) fn counts(&self, queue: &str) -> QueueCounts {
        let depth = self.ledger.depth(queue);
        QueueCounts {
            waiting: depth.waiting.unwrap_or_default(),
            in_flight: depth.in_flight.unwrap_or_default(),
            delayed: depth.delayed.unwrap_or_default(),
        }
    }

    pub(crate) fn peek(
        &self,
        asked: Asked,
        queue: &str,
        (skip, limit): (u32, u32),
        writer: &Writer,
    ) -> Looking {
        let waiting = self.ledger.waiting(queue).skip(skip as usize);
        let waiting = waiting.take(limit.min(MOST_SHOWN) as usize);
        let (mut letters, mut bytes) = (Vec::new(), 0);
        for (id, entry) in waiting.filter_map(|id| Some((id, self.ledger.get(id)?))) {
            bytes += entry.item.cost();
            if bytes > MOST_BYTES && !letters.is_empty() {
                break;
            }
            letters.push(letter_of(id, entry));
        }
        let bodies = writer.bodies(letters.iter().map(|letter| letter.message).collect());
        let queue = queue.to_owned();
        Box::pin(async move {
            Look {
                asked,
                queue,
                range: (skip, limit),
                letters,
                bodies: bodies.await,
            }
        })
    }

    pub(crate) fn requeue(&mut self, asked: Asked, from: &str, to: &str, which: Which) {
        let queue = self.ledger.queue(to);
        self.declared.insert(queue.clone());
        self.withdraw(asked, from, which, |queues, id| {
            let (to, queue) = (queues.new_id(), queue.clone());
            queues.writes.change_only(Change::Move {
                id,
                to,
                queue: queue.clone(),
                headers: Rewrite::Revive,
            });
            Then::Moved {
                to,
                queue,
                added: 0,
            }
        });
    }

    pub(crate) fn purge(&mut self, asked: Asked, queue: &str, which: Which) {
        self.withdraw(asked, queue, which, |queues, id| {
            queues.writes.change_only(Change::Remove { id });
            Then::Gone
        });
    }

    /// Takes waiting messages out of their queue, which nobody else gets meanwhile; what cannot be written goes back.
    fn withdraw(
        &mut self,
        asked: Asked,
        queue: &str,
        which: Which,
        mut settle: impl FnMut(&mut Self, MessageId) -> Then,
    ) {
        let withdrawn = match which {
            Which::First(limit) => self.ledger.withdraw(queue, limit.min(MOST) as usize),
            Which::One(id) => {
                let entry = self.ledger.withdraw_one(queue, id);
                entry.map(|entry| (id, entry)).into_iter().collect()
            }
        };
        let count = withdrawn.len() as u64;
        for (id, entry) in withdrawn {
            let then = settle(self, id);
            // Counted together, below.
            let asked = Asked {
                request: 0,
                weight: 0,
                ..asked
            };
            self.writes.after(After::Settled {
                asked,
                id,
                entry,
                then,
            });
        }
        self.writes.after(After::Counted { asked, count });
    }
}

impl Queues {
    /// Sends what somebody wanted to look at. A message that cannot be shown is set aside, for it could not be delivered
    /// either; if there is no other, this returns the next look.
    pub(crate) fn show(
        &mut self,
        look: Look,
        connections: &Connections,
        writer: &Writer,
    ) -> Option<Looking> {
        let asked = look.asked;
        let bodies = match look.bodies {
            Ok(bodies) => bodies,
            Err(error) => {
                connections.done(asked, Err(Failure::from(&error)));
                return None;
            }
        };
        let (mut bodies, mut shown, mut set_aside) = (bodies.into_iter().peekable(), 0, 0);
        for letter in look.letters {
            let id = letter.message;
            match bodies.next_if(|(message, _)| *message == id) {
                Some((_, body)) if letter_size(body.payload.len(), &body.headers) > MAX_LETTER => {
                    set_aside += self.set_aside_waiting(id, "it is larger than a frame of the hub");
                }
                Some((_, body)) => {
                    shown += 1;
                    connections.shown(asked, filled(letter, body));
                }
                // It has gone meanwhile, or is still there and cannot be read.
                None => set_aside += self.set_aside_waiting(id, "its body cannot be read"),
            }
        }
        if shown == 0 && set_aside > 0 {
            return Some(self.peek(asked, &look.queue, look.range, writer));
        }
        connections.done(asked, Ok(()));
        None
    }

    /// Returns how many were set aside. One that is with a consumer now is set aside when it is to be delivered.
    fn set_aside_waiting(&mut self, id: MessageId, why: &str) -> usize {
        let waits = self
            .ledger
            .get(id)
            .is_some_and(|entry| entry.item.holder().is_none());
        if waits {
            self.set_aside(id, why);
        }
        usize::from(waits)
    }
}
