//! The durable store: one SQLite file that one process owns.
//!
//! The store does not batch: [`Writer`](super::Writer) decides which changes share a transaction, on a thread
//! of its own, because every call here waits for the disk.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use microagent_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use tracing::debug;

use super::{Body, Change, MessageId, Snapshot, Store, SyncHandle};

mod commit;
mod failure;
mod read;
mod reserve;
mod schema;

use commit::FileState;
use failure::Failure;
use reserve::DiskReserve;

#[cfg(test)]
mod tests;

/// The time for which a predecessor that is ending may still hold the file.
const PREDECESSOR: Duration = Duration::from_secs(5);

/// Keeps messages in one file. A commit survives a power loss if the log was synced after it.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    reserve: DiskReserve,
    /// The state of the file; `None` after a commit that failed: then it is read again.
    state: Option<FileState>,
}

impl SqliteStore {
    /// Opens the file, or creates it, readable by its owner only.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration) for a file that is not ours, is too new or may not be written,
    /// [`Driver`](ErrorKind::Driver) for one that is damaged or held by another process.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, PREDECESSOR)
    }

    fn open_within(path: &Path, patience: Duration) -> Result<Self> {
        create_private(path)?;
        let connection = connect(path, patience).map_err(|failure| failure.into_error(path))?;
        let reserve =
            DiskReserve::of(path, &connection).map_err(|failure| failure.into_error(path))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            reserve,
            state: None,
        })
    }

    fn transact(&mut self, changes: &[Change]) -> std::result::Result<(), Failure> {
        self.reserve.secure(&self.connection, changes)?;
        let state = match self.state.take() {
            Some(state) => state,
            None => read::state(&self.connection)?,
        };
        self.state = Some(commit::transact(&self.connection, state, changes)?);
        Ok(())
    }

    /// Makes the log writable from its beginning, without growing it: on a full disk messages can then still be
    /// removed, and others can take the place of removed ones. Returns whether it succeeded.
    fn recycle_log(&self) -> bool {
        let busy = self
            .connection
            .query_row(schema::RECYCLE_LOG, [], |row| row.get(0));
        matches!(busy, Ok(false))
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Snapshot> {
        let snapshot = read::state(&self.connection)
            .and_then(|state| read::snapshot(&self.connection, &state));
        snapshot.map_err(|failure| failure.into_error(&self.path))
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut done = self.transact(changes);
        if matches!(&done, Err(failure) if failure.is_full_disk()) && self.recycle_log() {
            done = self.transact(changes);
        }
        done.map_err(|failure| failure.into_error(&self.path))
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        let bodies = read::bodies(&self.connection, ids);
        bodies.map_err(|failure| failure.into_error(&self.path))
    }

    fn sync(&self) -> Result<SyncHandle> {
        let (log, path) = (reserve::log_of(&self.path), self.path.clone());
        let file = OpenOptions::new().write(true).open(log);
        let file = file.map_err(|error| Failure::Io(error).into_error(&self.path))?;
        Ok(Arc::new(move || {
            let synced = file.sync_data();
            synced.map_err(|error| Failure::Io(error).into_error(&path))
        }))
    }

    /// Writes the log back, so that its contents get their room in the database now and not when the disk is
    /// full.
    fn rest(&mut self) {
        let written_back = self
            .connection
            .query_row(schema::WRITE_LOG_BACK, [], |_| Ok(()));
        if let Err(error) = written_back {
            debug!(%error, "the log was not written back");
        }
    }
}

/// Creates the file for its owner only. SQLite would create it with the umask of the process. The log beside it
/// gets the file's permissions.
fn create_private(path: &Path) -> Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let text = format!("{}: cannot be created: {error}", path.display());
            Err(Error::new(ErrorKind::Configuration, text).with_source(error))
        }
    }
}

fn connect(path: &Path, patience: Duration) -> std::result::Result<Connection, Failure> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(32);
    schema::prepare(&mut connection)?;
    Ok(connection)
}
