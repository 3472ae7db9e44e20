//! What people do with waiting messages: look at them, put dead letters back to work, throw them away.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use microagent_core::{Result, ledger::MessageId};

use super::{
    confirm::{After, Then},
    connections::{Asked, Connections},
    item::{filled, letter_of},
    queues::Queues,
};
use crate::{
    protocol::{Failure, HubFrame, Letter, MAX_LETTER, letter_size},
    store::{Body, Change, Rewrite, Writer},
};

/// The most that is done for one request, so that others get their turn.
const MOST: u32 = 1000;

/// The most bodies that are read for one request: each may have many megabytes.
const MOST_SHOWN: u32 = 16;

/// Messages that somebody looks at, and what is in them as far as they are still there.
#[derive(Debug)]
pub(super) struct Look {
    asked: Asked,
    letters: Vec<Letter>,
    bodies: Result<Vec<(MessageId, Body)>>,
}

/// Looks that are under way.
pub(super) type Looks = FuturesUnordered<Pin<Box<dyn Future<Output = Look> + Send>>>;

impl Queues {
    pub(super) fn peek(
        &self,
        asked: Asked,
        queue: &str,
        (skip, limit): (u32, u32),
        writer: &Writer,
    ) -> Pin<Box<dyn Future<Output = Look> + Send>> {
        let waiting = self.ledger.waiting(queue).skip(skip as usize);
        let ids = waiting.take(limit.min(MOST_SHOWN) as usize);
        let letter = |id| Some(letter_of(id, self.ledger.get(id)?));
        let letters: Vec<_> = ids.filter_map(letter).collect();
        let bodies = writer.bodies(letters.iter().map(|letter| letter.message).collect());
        Box::pin(async move {
            Look {
                asked,
                letters,
                bodies: bodies.await,
            }
        })
    }

    pub(super) fn requeue(&mut self, asked: Asked, from: &str, to: &str, limit: u32) {
        let queue = self.ledger.line(to);
        self.declared.insert(queue.clone());
        self.withdraw(asked, from, limit, |queues, id| {
            let (to, queue) = (queues.new_id(), queue.clone());
            queues.settlements.change(Change::Move {
                id,
                to,
                queue: queue.clone(),
                headers: Rewrite::Revive,
            });
            Then::Moved { to, queue }
        });
    }

    pub(super) fn purge(&mut self, asked: Asked, queue: &str, limit: u32) {
        self.withdraw(asked, queue, limit, |queues, id| {
            queues.settlements.change(Change::Remove { id });
            Then::Gone
        });
    }

    /// Takes waiting messages out of their queue, which nobody else gets meanwhile; what cannot be written goes back.
    fn withdraw(
        &mut self,
        asked: Asked,
        queue: &str,
        limit: u32,
        mut settle: impl FnMut(&mut Self, MessageId) -> Then,
    ) {
        let withdrawn = self.ledger.withdraw(queue, limit.min(MOST) as usize);
        let count = withdrawn.len() as u64;
        for (id, entry) in withdrawn {
            let then = settle(self, id);
            let asked = Asked {
                request: 0,
                ..asked
            };
            self.settlements.after(After::Settled {
                asked,
                id,
                entry,
                then,
            });
        }
        self.settlements.after(After::Counted { asked, count });
    }
}

impl Queues {
    /// Sends what somebody wanted to look at. A message that cannot be shown is set aside: it could not be delivered either.
    pub(super) fn show(&mut self, look: Look, connections: &Connections) {
        let Look {
            asked,
            letters,
            bodies,
        } = look;
        let bodies = match bodies {
            Ok(bodies) => bodies,
            Err(error) => return connections.done(asked, Err(Failure::from(&error))),
        };
        let mut bodies = bodies.into_iter().peekable();
        for letter in letters {
            let id = letter.message;
            match bodies.next_if(|(message, _)| *message == id) {
                Some((_, body)) if letter_size(body.payload.len(), &body.headers) > MAX_LETTER => {
                    self.set_aside_waiting(id, "it is larger than a frame of the hub");
                }
                Some((_, body)) => connections.shown(asked, filled(letter, body)),
                // It has gone meanwhile, or is still there and cannot be read.
                None => self.set_aside_waiting(id, "its body cannot be read"),
            }
        }
        connections.done(asked, Ok(()));
    }

    /// One that is with a consumer now is set aside when it is to be delivered.
    fn set_aside_waiting(&mut self, id: MessageId, why: &str) {
        let waits = |id| Some(self.ledger.get(id)?.item.holder.is_none());
        if waits(id) == Some(true) {
            self.set_aside(id, why);
        }
    }
}

impl Connections {
    fn shown(&self, asked: Asked, letter: Letter) {
        if let Some(connection) = self.get(asked.connection) {
            let request = asked.request;
            connection
                .outgoing
                .send(HubFrame::Shown { request, letter });
        }
    }
}
