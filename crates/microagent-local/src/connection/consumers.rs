//! The consumers of a connection, to which the task passes deliveries.

use foldhash::HashMap;
use microagent_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::command::{Epoch, SessionId};
use crate::protocol::{Failure, LocalId, Request, Text, WireMessage};

/// A delivery as it was received.
#[derive(Debug)]
pub(crate) struct IncomingDelivery {
    pub(crate) epoch: Epoch,
    pub(crate) message: WireMessage,
}

/// A consumer, with the channel to its stream. The prefetch limits how many deliveries wait in the channel.
#[derive(Debug)]
pub(crate) struct Consumer {
    session: SessionId,
    queue: Text,
    prefetch: u32,
    deliveries: mpsc::UnboundedSender<IncomingDelivery>,
    /// Receives the answer of the hub to the first request to consume.
    live: Option<oneshot::Sender<Result<()>>>,
}

#[derive(Debug, Default)]
pub(super) struct Consumers(HashMap<LocalId, Consumer>);

impl Consumers {
    pub(super) fn insert(&mut self, id: LocalId, consumer: Consumer) {
        self.0.insert(id, consumer);
    }

    /// Removes a consumer. Returns false if there was none.
    pub(super) fn remove(&mut self, id: LocalId) -> bool {
        self.0.remove(&id).is_some()
    }

    /// Removes the consumers of a handle, and returns their numbers.
    pub(super) fn close(&mut self, session: SessionId) -> Vec<LocalId> {
        let ended = self.0.extract_if(|_, consumer| consumer.session == session);
        ended.map(|(id, _)| id).collect()
    }

    /// Returns the requests to send on a new connection.
    pub(super) fn requests(&self) -> Vec<(LocalId, Request)> {
        let consumers = self.0.iter();
        consumers
            .map(|(id, consumer)| (*id, consumer.request(*id)))
            .collect()
    }

    /// Handles the hub's answer to a request to consume.
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

    /// Passes a delivery to its stream. Returns false if the stream was dropped.
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
