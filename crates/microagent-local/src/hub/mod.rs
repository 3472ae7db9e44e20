//! The hub: where the signals and queues of a folder live while its host runs.
//!
//! One task, the [`Actor`](actor::Actor), owns all state; a task for each connection carries frames between it and the
//! peer. It waits for no disk and no peer: commits are answered when they are through. What a peer may have outstanding is bounded for
//! every kind of request: the hub stops reading from one that does not read, and delays nobody else. It knows nothing of sockets or files: connections are anything that reads and writes, and the
//! [store](crate::store) is behind its writer.

mod actor;
mod connection;
mod connections;
mod drain;
mod outgoing;
mod queues;
mod signals;
mod time;

#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use microagent_core::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
};

use self::{
    actor::{Actor, ActorMessage},
    connections::ConnectionId,
};
use crate::{
    clocks::Clocks,
    protocol::Token,
    store::{Snapshot, Writer},
};

/// Chunks of frames that wait for the actor; connections wait when it is full.
const INBOX: usize = 64;

/// A running hub. Dropped without [`close`](Self::close) it ends with its connections, as a crash would.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    inbox: mpsc::Sender<ActorMessage>,
    last_connection: Arc<AtomicU32>,
}

impl Hub {
    /// Starts a hub on this runtime. `process` is the token of the process that it runs in.
    pub(crate) fn start(
        writer: Writer,
        snapshot: Snapshot,
        process: Token,
        clocks: Arc<dyn Clocks>,
    ) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX);
        let actor = Actor::new(writer, snapshot, process, clocks);
        tokio::spawn(actor.run(messages));
        Self {
            inbox,
            last_connection: Arc::default(),
        }
    }

    /// Serves a peer until one of both goes; the number of its process is for people who read the log.
    pub(crate) fn attach(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        pid: Option<i32>,
    ) {
        let id = ConnectionId(self.last_connection.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(connection::serve(stream, pid, id, self.inbox.clone()));
    }

    /// Returns when the hub has ended, by itself or because it was told to.
    pub(crate) async fn ended(&self) {
        self.inbox.closed().await;
    }

    /// Gives nobody anything more, and returns when those who have something are done with it, or when that takes too long.
    /// Everything else goes on until the hub is [closed](Self::close).
    pub(crate) async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        // Failures mean that the hub has ended: then nobody can finish anything.
        let _ = self.inbox.send(ActorMessage::Drain(done)).await;
        let _ = drained.await;
    }

    /// Ends all connections in peace and returns when everything is written and the store is closed.
    ///
    /// # Errors
    /// When the store could not be closed; what was not confirmed may not be stored.
    pub(crate) async fn close(&self) -> Result<()> {
        let (done, closed) = oneshot::channel();
        // A failure means that it has ended, which the answer tells as well.
        let _ = self.inbox.send(ActorMessage::Close(done)).await;
        closed
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the hub has ended already")))
    }
}
