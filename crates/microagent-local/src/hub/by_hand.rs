//! What people do with waiting messages: look at them, put dead letters back to work, throw them away.

use std::{pin::Pin, time::SystemTime};

use futures_util::stream::FuturesUnordered;
use microagent_core::{Result, ledger::MessageId};

use super::{
    confirm::{After, Then},
    connections::{Asked, Connections},
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

/// A message, its attempt, its crashes, and when it failed first.
type State = (MessageId, u32, u32, Option<SystemTime>);

/// What is known of messages that somebody looks at, and their bodies as far as they are still there.
#[derive(Debug)]
pub(super) struct Look {
    asked: Asked,
    states: Vec<State>,
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
        let state = |id| {
            let entry = self.ledger.get(id)?;
            let item = &entry.item;
            Some((id, item.attempt, entry.crashes, item.first_failure))
        };
        let states: Vec<_> = ids.filter_map(state).collect();
        let bodies = writer.bodies(states.iter().map(|(id, ..)| *id).collect());
        Box::pin(async move {
            Look {
                asked,
                states,
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
            states,
            bodies,
        } = look;
        let bodies = match bodies {
            Ok(bodies) => bodies,
            Err(error) => return self.done(asked, Err(Failure::from(&error))),
        };
        let mut states = states.into_iter();
        for (message, body) in bodies {
            // Those without a body have gone meanwhile.
            let state = states.by_ref().find(|(id, ..)| *id == message);
            let (Some((_, attempt, crashes, first_failure)), Some(connection)) =
                (state, self.get(asked.connection))
            else {
                break;
            };
            let letter = Letter {
                message,
                attempt,
                crashes,
                first_failure,
                headers: body.headers,
                payload: body.payload,
            };
            let request = asked.request;
            connection
                .outgoing
                .send(HubFrame::Shown { request, letter });
        }
        self.done(asked, Ok(()));
    }
}
