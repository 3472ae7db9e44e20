//! Who is connected, and the replies to each.

use std::time::Duration;

use foldhash::HashMap;
use microagent_core::ledger::PeerId;

use super::outgoing::Outgoing;
use crate::protocol::{Failure, HubFrame, Letter, QueueCounts, RequestId};

/// A connection, never the same twice in the life of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u32);

impl ConnectionId {
    pub(super) fn peer(self) -> PeerId {
        PeerId(self.0.into())
    }
}

/// A request, to be answered once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) connection: ConnectionId,
    pub(super) request: RequestId,
    /// What it takes of its connection's window until its reply has gone.
    pub(super) weight: u32,
}

/// The hub's end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) outgoing: Outgoing,
    /// It comes from the process that hosts the hub.
    pub(super) own: bool,
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
        self.reply(asked, |request| HubFrame::Done(request, result));
    }

    /// All requests from this one to the last one are done; they have this weight together.
    pub(super) fn all_done(&self, first: Asked, last: RequestId) {
        self.reply(first, |first| HubFrame::AllDone(first, last));
    }

    pub(super) fn count(&self, asked: Asked, count: u64) {
        self.reply(asked, |request| HubFrame::Count(request, count));
    }

    /// Answers a claim of a lease: granted, or for how long another holder has the key.
    pub(super) fn lease(&self, asked: Asked, left: Option<Duration>) {
        self.reply(asked, |request| HubFrame::Lease(request, left));
    }

    pub(super) fn depth(&self, asked: Asked, counts: QueueCounts) {
        self.reply(asked, |request| HubFrame::Depth(request, counts));
    }

    /// One of the messages that somebody wants to look at.
    pub(super) fn shown(&self, asked: Asked, letter: Letter) {
        if let Some(connection) = self.get(asked.connection) {
            let request = asked.request;
            let shown = HubFrame::Shown { request, letter };
            connection.outgoing.part_of_reply(shown);
        }
    }

    fn reply(&self, asked: Asked, frame: impl FnOnce(RequestId) -> HubFrame) {
        let Some(connection) = self.get(asked.connection) else {
            return;
        };
        match asked.request {
            0 => connection.outgoing.no_reply(asked.weight),
            request => connection.outgoing.reply(frame(request), asked.weight),
        }
    }
}
