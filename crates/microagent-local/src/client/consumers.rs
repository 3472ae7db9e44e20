//! The connection's end of all consumers: where deliveries go.

use std::sync::Arc;

use foldhash::HashMap;
use microagent_core::{Error, Message, Result};
use tokio::sync::{mpsc, oneshot};

use super::command::{Epoch, SessionId};
use crate::protocol::{Failure, Letter, LocalId, Requested, Text};

/// A delivery as it came in.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) epoch: Epoch,
    pub(super) letter: Letter,
}

/// The message that a letter holds.
pub(super) fn message_of(letter: Letter, queue: Arc<str>) -> Message {
    let mut message = Message::new(queue, letter.payload)
        .with_id(letter.message.to_string())
        .with_attempt(letter.attempt)
        .with_crashes(letter.crashes);
    if let Some(at) = letter.first_failure {
        message = message.with_first_failure(at);
    }
    for (name, value) in letter.headers {
        message = message.with_header(name, value);
    }
    message
}

/// The way to one stream. What waits in it is bounded by its prefetch.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) session: SessionId,
    pub(super) queue: Text,
    pub(super) prefetch: u32,
    pub(super) deliveries: mpsc::UnboundedSender<Incoming>,
    /// Told when it consumes for the first time.
    pub(super) live: Option<oneshot::Sender<Result<()>>>,
}

#[derive(Debug, Default)]
pub(super) struct Consumers(HashMap<LocalId, Consumer>);

impl Consumers {
    pub(super) fn insert(&mut self, id: LocalId, consumer: Consumer) {
        self.0.insert(id, consumer);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, id: LocalId) -> bool {
        self.0.remove(&id).is_some()
    }

    /// Ends those of a handle, and gives their numbers.
    pub(super) fn close(&mut self, session: SessionId) -> Vec<LocalId> {
        let ended = self.0.extract_if(|_, consumer| consumer.session == session);
        ended.map(|(id, _)| id).collect()
    }

    /// What is to be consumed on a new connection.
    pub(super) fn requests(&self) -> Vec<(LocalId, Requested)> {
        let consumers = self.0.iter();
        consumers
            .map(|(id, consumer)| (*id, consumer.request(*id)))
            .collect()
    }

    /// The hub has answered.
    pub(super) fn live(&mut self, id: LocalId, result: Result<(), Failure>) {
        let failed = result.is_err();
        if let Some(live) = self
            .0
            .get_mut(&id)
            .and_then(|consumer| consumer.live.take())
        {
            let _ = live.send(result.map_err(Error::from));
        }
        if failed {
            self.0.remove(&id);
        }
    }

    /// Passes a delivery on; false when nobody is there for it.
    pub(super) fn deliver(&self, id: LocalId, incoming: Incoming) -> bool {
        let consumer = self.0.get(&id);
        consumer.is_some_and(|consumer| consumer.deliveries.send(incoming).is_ok())
    }
}

impl Consumer {
    pub(super) fn request(&self, id: LocalId) -> Requested {
        Requested::Consume {
            consumer: id,
            queue: self.queue.clone(),
            prefetch: self.prefetch,
        }
    }
}
