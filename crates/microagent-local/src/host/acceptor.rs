//! Accepts the connections of peers, and checks the files that make this process the host.

use std::{io, path::Path};

use microagent_core::{Error, ErrorKind, Result};
use rustix::process::geteuid;
use tokio::{
    net::{UnixListener, UnixStream},
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tracing::{error, warn};

use super::{Folder, socket::Socket, watch::Watch};
use crate::{hub::Hub, log_limit::LogLimit};

/// The pause when no connection can be accepted because too many files are open.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The time between two checks of the files.
const CHECK: Duration = Duration::from_millis(500);

/// The socket of a folder's host.
#[derive(Debug)]
pub(super) struct Acceptor {
    folder: Folder,
    files: Watch,
    socket: Socket,
    listener: UnixListener,
}

impl Acceptor {
    /// Opens the socket. Clients can connect when this returns. The caller must hold the folder's lock and have
    /// the database open.
    ///
    /// # Errors
    /// [`Driver`](ErrorKind::Driver) if the socket cannot be created.
    pub(super) fn open(folder: &Folder) -> Result<Self> {
        let files = Watch::over([folder.lock_file(), folder.database()]);
        let (socket, listener) = listen(folder).map_err(|error| unusable(folder, error))?;
        Ok(Self {
            folder: folder.clone(),
            files: files.map_err(|error| unusable(folder, error))?,
            socket,
            listener,
        })
    }

    /// Accepts clients until the folder no longer belongs to this host.
    pub(super) async fn accept_peers(&mut self, hub: &Hub) {
        let mut look = interval(CHECK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => admit(stream, hub),
                    Err(error) => {
                        if let Some(omitted) = ACCEPT_LIMIT.admit() {
                            warn!(%error, omitted, "cannot accept a connection; retrying");
                        }
                        sleep(ACCEPT_AGAIN).await;
                    }
                },
                _ = look.tick() => {
                    if let Some(missing) = self.files.missing() {
                        self.give_up(missing);
                        return;
                    }
                    self.stay_reachable();
                }
            }
        }
    }

    /// Logs why this hub ends. If it continued, it would confirm messages that nobody finds again, or be one of
    /// two hosts.
    fn give_up(&self, missing: &Path) {
        error!(
            folder = %self.folder.path().display(),
            file = %missing.display(),
            "a file of the hub was removed or replaced while it was in use; this hub ends, and the \
             process that gets the lock that is there now hosts the next one"
        );
    }

    /// Creates the socket again if it was removed. Connected clients do not notice the removal, but new ones
    /// cannot connect.
    fn stay_reachable(&mut self) {
        if self.socket.is_found_in(&self.folder) {
            return;
        }
        let folder = self.folder.path().display();
        match listen(&self.folder) {
            Ok((socket, listener)) => {
                warn!(%folder, "the hub's socket was removed or replaced; created it again");
                (self.socket, self.listener) = (socket, listener);
            }
            Err(error) => {
                if let Some(omitted) = SOCKET_LIMIT.admit() {
                    warn!(%folder, %error, omitted, "the hub's socket was removed and cannot be created again; will keep retrying");
                }
            }
        }
    }
}

static ACCEPT_LIMIT: LogLimit = LogLimit::new();
static STRANGER_LIMIT: LogLimit = LogLimit::new();
static SOCKET_LIMIT: LogLimit = LogLimit::new();

/// Serves a client of the same user or of root. Clients of other users could only connect before the socket got
/// its permissions.
fn admit(stream: UnixStream, hub: &Hub) {
    let peer = stream.peer_cred().ok();
    let (pid, user) = (
        peer.and_then(|peer| peer.pid()),
        peer.map(|peer| peer.uid()),
    );
    if user.is_some_and(|user| user == 0 || user == geteuid().as_raw()) {
        hub.attach(stream, pid);
    } else if let Some(omitted) = STRANGER_LIMIT.admit() {
        warn!(pid, user, omitted, "rejected a connection of another user");
    }
}

fn listen(folder: &Folder) -> io::Result<(Socket, UnixListener)> {
    let (socket, listener) = Socket::bind(folder)?;
    Ok((socket, UnixListener::from_std(listener)?))
}

fn unusable(folder: &Folder, error: io::Error) -> Error {
    let text = format!(
        "{}: cannot create the socket: {error}",
        folder.path().display()
    );
    Error::new(ErrorKind::Driver, text).with_source(error)
}
