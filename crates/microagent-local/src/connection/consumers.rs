//! The connection's end of all consumers: where deliveries go.

use foldhash::HashMap;
use microagent_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::command::{Epoch, SessionId};
use crate::protocol::{Failure, LocalId, Request, Text, WireMessage};

/// A delivery as it came in.
#[derive(Debug)]
pub(crate) struct IncomingDelivery {
    pub(crate) epoch: Epoch,
    pub(crate) message: WireMessage,
}

/// The way to one stream. What waits in it is bounded by its prefetch.
#[derive(Debug)]
pub(crate) struct Consumer {
    session: SessionId,
    queue: Text,
    prefetch: u32,
    deliveries: mpsc::UnboundedSender<IncomingDelivery>,
    /// Told when it consumes for the first time.
    live: Option<oneshot::Sender<Result<()>>>,
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
    pub(super) fn requests(&self) -> Vec<(LocalId, Request)> {
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
    pub(super) fn deliver(&self, id: LocalId, incoming: IncomingDelivery) -> bool {
        let consumer = self.0.get(&id);
        consumer.is_some_and(|consumer| consumer.deliveries.send(incoming).is_ok())
    }
}

impl Consumer {
    /// Returns a consumer that passes its deliveries on to `deliveries`, and its first answer to `live`.
    pub(crate) fn new(
        session: SessionId,
        (queue, prefetch): (Text, u32),
        deliveries: mpsc::UnboundedSender<IncomingDelivery>,
        live: oneshot::Sender<Result<()>>,
    ) -> Self {
        Self {
            session,
            queue,
            prefetch,
            deliveries,
            live: Some(live),
        }
    }

    pub(super) fn request(&self, id: LocalId) -> Request {
        Request::Consume {
            consumer: id,
            queue: self.queue.clone(),
            prefetch: self.prefetch,
        }
    }
}
