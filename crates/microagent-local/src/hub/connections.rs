//! The connections of the hub, and the replies to their requests.

use std::time::Duration;

use foldhash::HashMap;
use microagent_core::ledger::PeerId;

use super::outgoing::FrameSender;
use crate::protocol::{Failure, HubFrame, QueueCounts, RequestId, Text, WireMessage};

/// The number of a connection, which a hub uses only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u32);

impl ConnectionId {
    pub(super) fn peer(self) -> PeerId {
        PeerId(self.0.into())
    }
}

/// The request that a reply answers. Each request is answered once.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyTarget {
    pub(super) connection: ConnectionId,
    pub(super) request: RequestId,
    /// The weight of the request in its connection's window, until its reply is sent.
    pub(super) weight: u32,
}

/// The hub's end of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) outgoing: FrameSender,
    /// True if the client is the process that hosts the hub.
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

    /// Returns the numbers of all connections, in order.
    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        let mut ids: Vec<_> = self.0.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn is_own(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(|connection| connection.own)
    }

    pub(super) fn done(&self, target: ReplyTarget, result: Result<(), Failure>) {
        self.reply(target, |request| HubFrame::Done(request, result));
    }

    /// Confirms all requests from `first` to `last`. `first` has the weight of all of them.
    pub(super) fn all_done(&self, first: ReplyTarget, last: RequestId) {
        self.reply(first, |first| HubFrame::AllDone(first, last));
    }

    pub(super) fn count(&self, target: ReplyTarget, count: u64) {
        self.reply(target, |request| HubFrame::Count(request, count));
    }

    /// Answers a claim of a lease: granted, or the time for which another holder has the key.
    pub(super) fn lease(&self, target: ReplyTarget, left: Option<Duration>) {
        self.reply(target, |request| HubFrame::Lease(request, left));
    }

    pub(super) fn channels(&self, target: ReplyTarget, channels: Vec<Text>) {
        self.reply(target, |request| HubFrame::Channels(request, channels));
    }

    pub(super) fn depth(&self, target: ReplyTarget, counts: QueueCounts) {
        self.reply(target, |request| HubFrame::Depth(request, counts));
    }

    /// Sends one of the messages that answer a request to peek.
    pub(super) fn shown(&self, target: ReplyTarget, message: WireMessage) {
        if let Some(connection) = self.get(target.connection) {
            let request = target.request;
            let shown = HubFrame::Shown { request, message };
            connection.outgoing.part_of_reply(shown);
        }
    }

    fn reply(&self, target: ReplyTarget, frame: impl FnOnce(RequestId) -> HubFrame) {
        let Some(connection) = self.get(target.connection) else {
            return;
        };
        match target.request {
            0 => connection.outgoing.no_reply(target.weight),
            request => connection.outgoing.reply(frame(request), target.weight),
        }
    }
}
