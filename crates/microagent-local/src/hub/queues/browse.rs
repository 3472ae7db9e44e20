//! Browsing: peeks at, moves and removes waiting messages without consuming them.

use std::pin::Pin;

use futures_util::stream::FuturesUnordered;
use microagent_core::{Result, ledger::MessageId};

use super::{
    Queues,
    item::{filled, wire_message_of},
    writes::{FollowUp, SettlementOutcome},
};
use crate::{
    hub::connections::{Connections, ReplyTarget},
    protocol::{Failure, MAX_MESSAGE, QueueCounts, WireMessage, message_size},
    store::{Body, Change, Rewrite, Writer},
};

/// The maximum number of messages that one request processes, so that other requests get their turn.
const MAX_BROWSED: u32 = 1000;

/// The maximum number of messages that one request shows.
const MAX_PEEKED: u32 = 16;

/// The maximum number of bytes that one request shows. The first message may be larger.
const MAX_PEEKED_BYTES: usize = 8 * 1024 * 1024;

/// The messages for a request to peek, and their bodies if they are still stored.
#[derive(Debug)]
pub(crate) struct PeekedMessages {
    target: ReplyTarget,
    queue: String,
    range: (u32, u32),
    messages: Vec<WireMessage>,
    bodies: Result<Vec<(MessageId, Body)>>,
}

type Peek = Pin<Box<dyn Future<Output = PeekedMessages> + Send>>;

/// The requests to peek that are under way.
pub(crate) type Peeks = FuturesUnordered<Peek>;

/// The waiting messages of a queue that a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BrowseScope {
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
        target: ReplyTarget,
        queue: &str,
        (skip, limit): (u32, u32),
        writer: &Writer,
    ) -> Peek {
        let waiting = self.ledger.waiting(queue).skip(skip as usize);
        let waiting = waiting.take(limit.min(MAX_PEEKED) as usize);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for (id, entry) in waiting.filter_map(|id| Some((id, self.ledger.get(id)?))) {
            bytes += entry.item.cost();
            if bytes > MAX_PEEKED_BYTES && !messages.is_empty() {
                break;
            }
            messages.push(wire_message_of(id, entry));
        }
        let bodies = writer.bodies(messages.iter().map(|message| message.id).collect());
        let queue = queue.to_owned();
        Box::pin(async move {
            PeekedMessages {
                target,
                queue,
                range: (skip, limit),
                messages,
                bodies: bodies.await,
            }
        })
    }

    pub(crate) fn requeue(
        &mut self,
        target: ReplyTarget,
        from: &str,
        to: &str,
        scope: BrowseScope,
    ) {
        let queue = self.ledger.queue(to);
        self.declared.insert(queue.clone());
        self.withdraw(target, from, scope, |queues, id| {
            let (to, queue) = (queues.new_id(), queue.clone());
            queues.writes.change_only(Change::Move {
                id,
                to,
                queue: queue.clone(),
                headers: Rewrite::Revive,
            });
            SettlementOutcome::Moved {
                to,
                queue,
                added: 0,
            }
        });
    }

    pub(crate) fn purge(&mut self, target: ReplyTarget, queue: &str, scope: BrowseScope) {
        self.withdraw(target, queue, scope, |queues, id| {
            queues.writes.change_only(Change::Remove { id });
            SettlementOutcome::Gone
        });
    }

    /// Withdraws waiting messages from their queue, so that no consumer gets them meanwhile. If the change
    /// cannot be written they return.
    fn withdraw(
        &mut self,
        target: ReplyTarget,
        queue: &str,
        scope: BrowseScope,
        mut settle: impl FnMut(&mut Self, MessageId) -> SettlementOutcome,
    ) {
        let withdrawn = match scope {
            BrowseScope::First(limit) => {
                self.ledger.withdraw(queue, limit.min(MAX_BROWSED) as usize)
            }
            BrowseScope::One(id) => {
                let entry = self.ledger.withdraw_one(queue, id);
                entry.map(|entry| (id, entry)).into_iter().collect()
            }
        };
        let count = withdrawn.len() as u64;
        for (id, entry) in withdrawn {
            let outcome = settle(self, id);
            // Counted together, below.
            let target = ReplyTarget {
                request: 0,
                weight: 0,
                ..target
            };
            self.writes.after(FollowUp::Settled {
                target,
                id,
                entry,
                outcome,
            });
        }
        self.writes.after(FollowUp::Counted { target, count });
    }
}

impl Queues {
    /// Answers a request to peek. A message that cannot be shown is set aside, for it could not be delivered
    /// either. If there is no other message, this returns the next part of the request.
    pub(crate) fn show(
        &mut self,
        look: PeekedMessages,
        connections: &Connections,
        writer: &Writer,
    ) -> Option<Peek> {
        let target = look.target;
        let bodies = match look.bodies {
            Ok(bodies) => bodies,
            Err(error) => {
                connections.done(target, Err(Failure::from(&error)));
                return None;
            }
        };
        let (mut bodies, mut shown, mut set_aside) = (bodies.into_iter().peekable(), 0, 0);
        for message in look.messages {
            let id = message.id;
            match bodies.next_if(|(message, _)| *message == id) {
                Some((_, body))
                    if message_size(body.payload.len(), &body.headers) > MAX_MESSAGE =>
                {
                    set_aside += self.set_aside_waiting(id, "it is larger than a frame of the hub");
                }
                Some((_, body)) => {
                    shown += 1;
                    connections.shown(target, filled(message, body));
                }
                // It was removed meanwhile, or its body cannot be read.
                None => set_aside += self.set_aside_waiting(id, "its body cannot be read"),
            }
        }
        if shown == 0 && set_aside > 0 {
            return Some(self.peek(target, &look.queue, look.range, writer));
        }
        connections.done(target, Ok(()));
        None
    }

    /// Sets a message aside if it waits, and returns how many were set aside. A message that is in flight is
    /// set aside when it is delivered.
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
