//! The hub: serves the signals and queues of a folder while its host runs.
//!
//! One task, the [`Actor`], owns all state. A task for each connection carries frames between the
//! actor and the client. The actor waits for no disk and no client: commits are answered when they are durable.
//! The outstanding requests of a client are bounded: the hub stops reading from a client that does not read its
//! replies, and delays no other client. The hub knows neither sockets nor files: a connection is anything that
//! reads and writes, and the [store](crate::store) is behind its writer.

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
    sync::{Semaphore, mpsc, oneshot},
};
use tracing::warn;

use self::{
    actor::{Actor, ActorMessage},
    connections::ConnectionId,
};
use crate::{
    clocks::Clocks,
    log_limit::LogLimit,
    protocol::{Failure, Token},
    store::{Snapshot, Writer},
};

static REJECTION_LIMIT: LogLimit = LogLimit::new();

/// The number of messages that can wait for the actor. Connections wait when it is full.
const INBOX: usize = 64;

/// The maximum number of connections, most of which are one per process.
const MAX_CONNECTIONS: usize = 1000;

/// The maximum number of clients that are told at the same time that the hub has no place for them.
const MAX_REJECTIONS: usize = 16;

/// A running hub. If it is dropped without [`close`](Self::close), it ends with its connections as after a
/// crash.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    inbox: mpsc::Sender<ActorMessage>,
    last_connection: Arc<AtomicU32>,
    places: Arc<Semaphore>,
    rejections: Arc<Semaphore>,
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
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            rejections: Arc::new(Semaphore::new(MAX_REJECTIONS)),
        }
    }

    /// Serves a client until the client or the hub ends. `pid` is for the log.
    pub(crate) fn attach(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        pid: Option<i32>,
    ) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.reject(stream, pid);
            return;
        };
        let id = ConnectionId(self.last_connection.fetch_add(1, Ordering::Relaxed));
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            connection::serve(stream, pid, id, inbox).await;
            drop(place);
        });
    }

    /// Tells a client that the hub has no place for it, and closes its connection; at once if many clients are told already.
    fn reject(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        pid: Option<i32>,
    ) {
        if let Some(omitted) = REJECTION_LIMIT.admit() {
            warn!(
                pid,
                limit = MAX_CONNECTIONS,
                omitted,
                "rejected a client; the hub has its maximum number of connections"
            );
        }
        let text = format!("too many connections to the hub: expected at most {MAX_CONNECTIONS}");
        let failure = Failure::new(ErrorKind::Unavailable, text);
        if let Ok(permit) = self.rejections.clone().try_acquire_owned() {
            tokio::spawn(async move {
                connection::reject(stream, failure).await;
                drop(permit);
            });
        }
    }

    /// Returns when the hub has ended, by itself or because it was closed.
    pub(crate) async fn ended(&self) {
        self.inbox.closed().await;
    }

    /// Stops handing out messages, and returns when those in flight are settled or
    /// [`DRAIN_TIMEOUT`](drain::DRAIN_TIMEOUT) has passed. Everything else continues until the hub is
    /// [closed](Self::close).
    pub(crate) async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        // If this fails, the hub has ended, and nothing can be settled.
        let _ = self.inbox.send(ActorMessage::Drain(done)).await;
        let _ = drained.await;
    }

    /// Closes all connections without making messages suspect, and returns when everything is written and the
    /// store is closed.
    ///
    /// # Errors
    /// Returns an error if the store could not be closed. Changes that were not confirmed may not be stored.
    pub(crate) async fn close(&self) -> Result<()> {
        let (done, closed) = oneshot::channel();
        // If this fails the hub has ended, and the answer below says so.
        let _ = self.inbox.send(ActorMessage::Close(done)).await;
        closed
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the hub has already ended")))
    }
}
