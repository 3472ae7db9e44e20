//! The connection of this process to the hub of a folder. All buses and brokers of the process share it, and it
//! reconnects until the last of them is closed.
//!
//! A handle is a [`Session`] of the connection. It sends [`Command`]s to the [`ConnectionTask`], the only task
//! that reads and writes the socket. The task does not host the hub: before it dials, it asks the
//! [election](crate::host) to host the hub if no process does.

mod command;
mod consumers;
mod dial;
mod pending;
mod session;
mod subscriptions;
mod task;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use microagent_core::{
    Error, ErrorKind, Result,
    driver::{ConnectionRecord, ConnectionState, lock},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

pub(crate) use self::{
    command::{Command, Epoch},
    consumers::{Consumer, IncomingDelivery},
    session::{Session, text},
};
use self::{pending::REQUEST_TIMEOUT, task::ConnectionTask};
use crate::{
    error::ended,
    host::{Folder, HostElection},
};

/// The state of the connection to the hub.
#[derive(Debug)]
pub(super) enum Link {
    /// The first attempt to connect is under way.
    Dialling,
    Up,
    /// The connection is down for this reason, and the task reconnects.
    Down(Error),
}

/// The number of the current connection; zero if the connection is down.
#[derive(Clone, Debug, Default)]
pub(super) struct CurrentEpoch(Arc<AtomicU64>);

impl CurrentEpoch {
    pub(super) fn set(&self, epoch: Epoch) {
        self.0.store(epoch, Ordering::Release);
    }

    pub(super) fn get(&self) -> Epoch {
        self.0.load(Ordering::Acquire)
    }
}

/// The end of the connection's state that the task writes and the handles read.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    link: watch::Sender<Link>,
    record: Arc<ConnectionRecord>,
    epoch: CurrentEpoch,
}

impl LinkEnd {
    /// Records that the connection with this number is up.
    pub(super) fn up(&self, epoch: Epoch) {
        self.epoch.set(epoch);
        self.record.up();
        self.link.send_replace(Link::Up);
    }

    /// Records that the connection is down.
    pub(super) fn down(&self, error: Error) {
        self.epoch.set(0);
        self.record.down(&error);
        self.link.send_replace(Link::Down(error));
    }

    /// Returns why the connection is down, if an attempt to connect has failed.
    pub(super) fn reason(&self) -> Option<(ErrorKind, String)> {
        match &*self.link.borrow() {
            Link::Down(error) => Some((error.kind(), error.to_string())),
            _ => None,
        }
    }
}

/// The connection that all handles of this process on one folder share.
#[derive(Debug)]
pub(super) struct Connection {
    folder: PathBuf,
    commands: mpsc::UnboundedSender<Command>,
    link: watch::Receiver<Link>,
    record: Arc<ConnectionRecord>,
    epoch: CurrentEpoch,
    last_id: AtomicU32,
    /// The number of handles. It changes only under the lock of [`SHARED`].
    handles: AtomicUsize,
}

/// The connections of this process, by folder.
static SHARED: Mutex<Option<HashMap<PathBuf, Weak<Connection>>>> = Mutex::new(None);

type Shared<'a> = MutexGuard<'a, Option<HashMap<PathBuf, Weak<Connection>>>>;

fn shared<'a>() -> Shared<'a> {
    lock(&SHARED)
}

impl Connection {
    /// Returns the connection of this process to the folder, with one more handle.
    pub(super) fn join(folder: Folder) -> Arc<Self> {
        let mut shared = shared();
        let shared = shared.get_or_insert_default();
        // A connection whose runtime has ended can no longer be used.
        let alive = |connection: &Arc<Self>| !connection.commands.is_closed();
        let known = shared.get(folder.path()).and_then(Weak::upgrade);
        if let Some(connection) = known.filter(alive) {
            connection.handles.fetch_add(1, Ordering::Relaxed);
            return connection;
        }
        shared.retain(|_, connection| connection.strong_count() > 0);
        let path = folder.path().to_owned();
        let connection = Self::open(folder);
        shared.insert(path, Arc::downgrade(&connection));
        connection
    }

    /// Opens a connection that nobody shares, as another process would have it.
    pub(super) fn open(folder: Folder) -> Arc<Self> {
        let path = folder.path().to_owned();
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (link_sender, link) = watch::channel(Link::Dialling);
        let epoch = CurrentEpoch::default();
        let record = Arc::<ConnectionRecord>::default();
        let link_end = LinkEnd {
            link: link_sender,
            record: record.clone(),
            epoch: epoch.clone(),
        };
        let task = ConnectionTask::new(HostElection::of(folder), command_receiver, link_end);
        tokio::spawn(task.run());
        Arc::new(Self {
            folder: path,
            commands,
            link,
            record,
            epoch,
            last_id: AtomicU32::new(0),
            handles: AtomicUsize::new(1),
        })
    }

    /// Removes a handle. Returns true if it was the last one; then no handle can join the connection any
    /// longer.
    pub(super) fn leave(&self) -> bool {
        let mut shared = shared();
        let last = self.handles.fetch_sub(1, Ordering::Relaxed) == 1;
        if last && let Some(shared) = shared.as_mut() {
            let is_this = |other: &Weak<Self>| std::ptr::eq(other.as_ptr(), self);
            if shared.get(&self.folder).is_some_and(is_this) {
                shared.remove(&self.folder);
            }
        }
        last
    }

    /// Returns a number for a session, a subscription or a consumer. Each number is returned once.
    pub(super) fn new_id(&self) -> u32 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the state of the connection, and since when it has been so.
    pub(super) fn state(&self) -> ConnectionState {
        if self.commands.is_closed() && self.record.state().up {
            // The task ended with its runtime, and could not record it.
            self.record.down(ended());
        }
        self.record.state()
    }

    /// Sends a command to the task. Returns false if the task has ended.
    pub(super) fn tell(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }

    /// Waits for the outcome of the first attempt to connect, but not longer than [`REQUEST_TIMEOUT`].
    ///
    /// # Errors
    /// Returns the errors that a later attempt cannot fix.
    pub(super) async fn attempted(&self) -> Result<()> {
        let mut link = self.link.clone();
        let outcome = link.wait_for(|link| !matches!(link, Link::Dialling));
        match timeout(REQUEST_TIMEOUT, outcome).await {
            Ok(Ok(link)) => unhealable(&link),
            Ok(Err(_)) => Err(ended()),
            Err(_) => Ok(()),
        }
    }

    /// Waits until the connection is up.
    ///
    /// # Errors
    /// Returns the errors that a later attempt cannot fix.
    pub(super) async fn ready(&self) -> Result<()> {
        let mut link = self.link.clone();
        loop {
            {
                let link = link.borrow_and_update();
                if matches!(*link, Link::Up) {
                    return Ok(());
                }
                unhealable(&link)?;
            }
            link.changed().await.map_err(|_| ended())?;
        }
    }
}

fn unhealable(link: &Link) -> Result<()> {
    match link {
        Link::Down(error) if error.kind() != ErrorKind::Unavailable => Err(error.without_source()),
        _ => Ok(()),
    }
}
