//! Settles one delivery: decides which frames and copies carry out what the core asks for.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use microagent_core::{Message, Settle, SettleFuture, Settlement, header};
use tokio::sync::oneshot;

use super::{
    buffer::Item,
    consumer::Consumer,
    session::{Copy, Place, Settling, Target, ended},
    topology::Side,
};
use crate::message::Received;

/// Settles one delivery.
pub(super) struct Settler {
    pub(super) consumer: Arc<Consumer>,
    pub(super) item: Item,
    pub(super) place: Place,
    /// It came out of the queue of suspects.
    pub(super) is_suspect: bool,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        if !self.item.session.is_open() {
            return SettleFuture::done(Err(ended()));
        }
        let now = SystemTime::now();
        match settlement {
            Settlement::Ack => self.ack(),
            Settlement::Return => self.give_back(),
            Settlement::Retry { after, .. } => {
                let queue = self.consumer.name().to_owned();
                let message = self.item.message.retried(queue.clone(), now);
                self.move_to(Copy {
                    message,
                    to: Target::Queue {
                        queue,
                        delay: after,
                    },
                })
            }
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => {
                let headers = header::of_dead_letter(message, reason, &detail, now);
                let message = self.item.message.dead(queue.clone(), headers);
                let to = Target::Aside(Side::Dead { name: queue });
                self.move_to(Copy { message, to })
            }
        }
    }
}

impl Settler {
    fn ack(self) -> SettleFuture {
        let (done, settled) = oneshot::channel();
        self.item.session.ack(Settling {
            tag: self.item.tag,
            place: Some(self.place),
            done: Some(done),
        });
        SettleFuture::waiting(settled)
    }

    fn move_to(self, copy: Copy) -> SettleFuture {
        let (done, settled) = oneshot::channel();
        let settling = Settling {
            tag: self.item.tag,
            place: Some(self.place),
            done: Some(done),
        };
        self.item.session.move_to(settling, copy);
        SettleFuture::waiting(settled)
    }

    /// Hands the message out again while its consumer lives. To the server a message that comes back is the same as one
    /// whose consumer died.
    fn give_back(self) -> SettleFuture {
        if self.is_suspect || self.consumer.stopping.is_cancelled() {
            return self.move_back();
        }
        let Self {
            consumer,
            item,
            place,
            is_suspect,
        } = self;
        match consumer.buffer.push_front(item) {
            None => {
                drop(place);
                SettleFuture::done(Ok(()))
            }
            Some(item) => Self {
                consumer,
                item,
                place,
                is_suspect,
            }
            .move_back(),
        }
    }

    fn move_back(self) -> SettleFuture {
        let copy = returned(self.consumer.name(), &self.item.message, self.is_suspect);
        self.move_to(copy)
    }
}

/// Returns the copy of a message that goes back as it was, to the tail of the queue it came from.
pub(super) fn returned(queue: &str, message: &Received, is_suspect: bool) -> Copy {
    let to = if is_suspect {
        Target::Aside(Side::Suspects {
            queue: queue.to_owned(),
        })
    } else {
        Target::Queue {
            queue: queue.to_owned(),
            delay: Duration::ZERO,
        }
    };
    let name = match &to {
        Target::Aside(side) => side.name(),
        Target::Queue { queue, .. } => queue.clone(),
    };
    Copy {
        message: message.returned(name),
        to,
    }
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("tag", &self.item.tag)
            .finish_non_exhaustive()
    }
}
