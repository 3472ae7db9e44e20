//! Who is connected, and the way out to each.
//!
//! What waits for a slow peer is bounded: answers by the requests that it may have under way, deliveries by its prefetch,
//! and signals by [`MAX_WAITING`], beyond which they are missed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foldhash::HashMap;
use microagent_core::ledger::PeerId;
use tokio::sync::{Semaphore, mpsc};

use crate::protocol::{Failure, HubFrame, RequestId};

/// The most bytes of signals that wait for one peer.
pub(super) const MAX_WAITING: usize = 16 * 1024 * 1024;

/// What a signal weighs beside its payload.
const EVENT: usize = 128;

/// A connection, never the same twice in the life of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u32);

impl ConnectionId {
    pub(super) fn peer(self) -> PeerId {
        PeerId(self.0.into())
    }
}

/// A request, to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) connection: ConnectionId,
    pub(super) request: RequestId,
}

/// The hub's end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) outgoing: Outgoing,
    /// It comes from the process that hosts the hub.
    pub(super) own: bool,
    /// What it may still send before something of it is durable.
    pub(super) window: Arc<Semaphore>,
}

/// Frames on their way to a peer.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    frames: mpsc::UnboundedSender<HubFrame>,
    waiting: Arc<AtomicUsize>,
}

/// A way out that does not keep the peer's connection open.
#[derive(Clone, Debug)]
pub(super) struct WeakOutgoing(mpsc::WeakUnboundedSender<HubFrame>);

/// The other end of [`Outgoing`].
#[derive(Debug)]
pub(super) struct Outbox {
    frames: mpsc::UnboundedReceiver<HubFrame>,
    waiting: Arc<AtomicUsize>,
}

pub(super) fn outgoing() -> (Outgoing, Outbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    let outgoing = Outgoing {
        frames: sender,
        waiting: waiting.clone(),
    };
    let outbox = Outbox {
        frames: receiver,
        waiting,
    };
    (outgoing, outbox)
}

impl Outgoing {
    /// Hands a frame over. One for a peer that is gone is nobody's loss: its end is told to the actor.
    pub(super) fn send(&self, frame: HubFrame) {
        let weight = weight(&frame);
        if weight > 0 {
            self.waiting.fetch_add(weight, Ordering::Relaxed);
        }
        let _ = self.frames.send(frame);
    }

    pub(super) fn downgrade(&self) -> WeakOutgoing {
        WeakOutgoing(self.frames.downgrade())
    }

    /// Whether the peer reads too slowly to be sent more signals.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= MAX_WAITING
    }
}

impl WeakOutgoing {
    pub(super) fn pong(&self) {
        if let Some(frames) = self.0.upgrade() {
            let _ = frames.send(HubFrame::Pong);
        }
    }
}

impl Outbox {
    /// Everything that waits, up to this many frames; none when there will be nothing more.
    pub(super) async fn next(&mut self, batch: &mut Vec<HubFrame>, most: usize) -> usize {
        self.frames.recv_many(batch, most).await
    }

    /// A frame is on its way.
    pub(super) fn left(&self, frame: &HubFrame) {
        let weight = weight(frame);
        if weight > 0 {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
        }
    }
}

fn weight(frame: &HubFrame) -> usize {
    match frame {
        HubFrame::Event { payload, .. } => EVENT + payload.len(),
        _ => 0,
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<ConnectionId, Connection>);

impl Connections {
    pub(super) fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.0.insert(id, connection);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.0.remove(&id);
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.0.get(&id)
    }

    /// Those that are there now, in order.
    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        let mut ids: Vec<_> = self.0.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn is_own(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(|connection| connection.own)
    }

    pub(super) fn done(&self, asked: Asked, result: Result<(), Failure>) {
        self.answer(asked, |request| HubFrame::Done(request, result));
    }

    /// All requests of this connection from the one to the other are done.
    pub(super) fn all_done(&self, connection: ConnectionId, first: RequestId, last: RequestId) {
        if let Some(connection) = self.get(connection) {
            connection.outgoing.send(HubFrame::AllDone(first, last));
        }
    }

    pub(super) fn count(&self, asked: Asked, count: u64) {
        self.answer(asked, |request| HubFrame::Count(request, count));
    }

    /// A request takes nothing of its connection's window any more.
    pub(super) fn release(&self, asked: Asked, weight: u32) {
        if let Some(connection) = self.get(asked.connection) {
            connection.window.add_permits(weight as usize);
        }
    }

    fn answer(&self, asked: Asked, frame: impl FnOnce(RequestId) -> HubFrame) {
        if asked.request == 0 {
            return;
        }
        if let Some(connection) = self.get(asked.connection) {
            connection.outgoing.send(frame(asked.request));
        }
    }
}
