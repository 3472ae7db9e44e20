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
    protocol::{Failure, HubFrame, Letter},
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

impl Connections {
    /// Sends what somebody wanted to look at.
    pub(super) fn show(&self, look: Look) {
        let Look {
            asked,
            letters,
            bodies,
        } = look;
        let bodies = match bodies {
            Ok(bodies) => bodies,
            Err(error) => return self.done(asked, Err(Failure::from(&error))),
        };
        let mut letters = letters.into_iter();
        for (message, body) in bodies {
            // Those without a body have gone meanwhile.
            let letter = letters.by_ref().find(|letter| letter.message == message);
            let (Some(letter), Some(connection)) = (letter, self.get(asked.connection)) else {
                break;
            };
            let letter = filled(letter, body);
            let request = asked.request;
            connection
                .outgoing
                .send(HubFrame::Shown { request, letter });
        }
        self.done(asked, Ok(()));
    }
}
