//! A handle's share of the connection. It is closed alone; closing the last one ends the connection.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use microagent_core::{Depth, Error, ErrorKind, Lease, Result, driver::ConnectionState};
use tokio::{sync::oneshot, time::Instant};

use super::{
    Connection,
    command::{Command, Epoch, Reply, SessionId},
};
use crate::{
    LocalOptions,
    error::ended,
    host::Folder,
    protocol::{Browse, LocalId, MAX_TEXT, Request, Text, WireMessage},
};

/// One bus or one broker.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Arc<Connection>,
    id: SessionId,
    /// Its name in errors.
    what: &'static str,
    /// The time at which it was closed.
    closed: OnceLock<Instant>,
}

impl Session {
    /// Opens a handle on this process's connection to the folder.
    ///
    /// # Errors
    /// Returns the errors of the folder and its files.
    pub(crate) async fn open(options: &LocalOptions, what: &'static str) -> Result<Arc<Self>> {
        let connection = Connection::join(Folder::prepare(options.folder())?);
        Self::on(connection, what).await
    }

    /// Opens a handle on a connection of its own, as another process would have it.
    pub(crate) async fn apart(options: &LocalOptions, what: &'static str) -> Result<Arc<Self>> {
        let connection = Connection::open(Folder::prepare(options.folder())?);
        Self::on(connection, what).await
    }

    async fn on(connection: Arc<Connection>, what: &'static str) -> Result<Arc<Self>> {
        let session = Arc::new(Self {
            id: connection.new_id(),
            connection,
            what,
            closed: OnceLock::new(),
        });
        session.connection.attempted().await?;
        Ok(session)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get().is_some()
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// Returns a number for a subscription or a consumer, which no other one of the connection has.
    pub(crate) fn new_id(&self) -> LocalId {
        self.connection.new_id()
    }

    /// Returns the number of the connection to the hub that is up; zero while there is none.
    pub(crate) fn epoch(&self) -> Epoch {
        self.connection.epoch.get()
    }

    /// Marks the handle as closed. Returns false if it was closed already.
    fn mark_closed(&self) -> bool {
        self.closed.set(Instant::now()).is_ok()
    }

    /// Returns the state of the connection. A closed handle is down.
    pub(crate) fn state(&self) -> ConnectionState {
        let mut state = self.connection.state();
        if let Some(closed) = self.closed.get() {
            state.up = false;
            state.since = *closed;
            state.last_error = Some(self.closed_error().to_string());
        }
        state
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed() {
            return Err(self.closed_error());
        }
        Ok(())
    }

    /// Sends a request, and waits until it is done.
    pub(crate) async fn done(&self, request: Request) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.tell(Command::Request(request, Reply::Done(done)))?;
        self.wait(answer).await
    }

    /// Sends a request that is answered with a number.
    pub(crate) async fn count(&self, request: Request) -> Result<u64> {
        let (count, answer) = oneshot::channel();
        self.tell(Command::Request(request, Reply::Count(count)))?;
        self.wait(answer).await
    }

    /// Returns how many messages a queue has in each state.
    pub(crate) async fn depth(&self, queue: Text) -> Result<Depth> {
        let (depth, answer) = oneshot::channel();
        let request = Request::Depth { queue };
        self.tell(Command::Request(request, Reply::Depth(depth)))?;
        self.wait(answer).await
    }

    /// Returns the channels with this head that have a subscription of their own.
    pub(crate) async fn channels(&self, head: Text) -> Result<Vec<Text>> {
        let (channels, answer) = oneshot::channel();
        let request = Request::Channels { head };
        self.tell(Command::Request(request, Reply::Channels(channels)))?;
        self.wait(answer).await
    }

    /// Claims a lease.
    pub(crate) async fn lease(&self, key: Text, holder: Text, ttl: Duration) -> Result<Lease> {
        let (lease, answer) = oneshot::channel();
        let request = Request::Lease { key, holder, ttl };
        self.tell(Command::Request(request, Reply::Lease(lease)))?;
        self.wait(answer).await
    }

    /// Returns messages without consuming them.
    pub(crate) async fn look(&self, browse: Browse) -> Result<Vec<WireMessage>> {
        let (shown, answer) = oneshot::channel();
        let reply = Reply::Shown(Vec::new(), shown);
        self.tell(Command::Request(Request::Browse(browse), reply))?;
        self.wait(answer).await
    }

    pub(crate) async fn ready(&self) -> Result<()> {
        self.check_open()?;
        self.connection.ready().await
    }

    pub(crate) fn tell(&self, command: Command) -> Result<()> {
        self.check_open()?;
        if self.connection.tell(command) {
            return Ok(());
        }
        Err(ended())
    }

    /// Sends a command even if the handle is closed. Returns false if the connection has ended.
    pub(crate) fn tell_always(&self, command: Command) -> bool {
        self.connection.tell(command)
    }

    /// Waits for an answer. If there is none, the error says why.
    pub(crate) async fn wait<T>(&self, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.unanswered()),
        }
    }

    /// Returns the error for a missing answer.
    pub(crate) fn unanswered(&self) -> Error {
        if self.is_closed() {
            self.closed_error()
        } else {
            ended()
        }
    }

    /// Ends the subscriptions and consumers of this handle. The last handle ends the connection.
    ///
    /// # Errors
    /// Returns an error if something under way was not confirmed.
    pub(crate) async fn close(&self) -> Result<()> {
        if !self.mark_closed() {
            return Ok(());
        }
        let (done, closed) = oneshot::channel();
        let mut result = Ok(());
        if self.connection.tell(Command::Close(self.id, done)) {
            result = self.flushed(closed).await;
        }
        let (done, gone) = oneshot::channel();
        if self.connection.leave() && self.connection.tell(Command::Goodbye(done)) {
            result = result.and(self.flushed(gone).await);
        }
        result
    }

    async fn flushed(&self, end: oneshot::Receiver<Result<()>>) -> Result<()> {
        // Without an answer the connection has ended, and everything of it.
        end.await.unwrap_or(Ok(()))
    }

    /// Ends the connection as if its process had died.
    pub(crate) fn crash(&self) {
        if self.mark_closed() {
            self.connection.leave();
            self.connection.tell(Command::Crash);
        }
    }

    fn closed_error(&self) -> Error {
        Error::new(ErrorKind::Closed, format!("the {} was closed", self.what))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.mark_closed() {
            return;
        }
        let (done, _) = oneshot::channel();
        let command = if self.connection.leave() {
            Command::Goodbye(done)
        } else {
            Command::Close(self.id, done)
        };
        self.connection.tell(command);
    }
}

/// Converts a name for the protocol.
pub(crate) fn text(what: &str, name: &str) -> Result<Text> {
    if name.len() > MAX_TEXT {
        let text = format!(
            "invalid {what} of {} bytes: expected at most {MAX_TEXT}",
            name.len()
        );
        return Err(Error::new(ErrorKind::InvalidName, text));
    }
    Ok(name.into())
}
