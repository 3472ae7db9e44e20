//! The durable store: one SQLite file that one process owns.
//!
//! It does not batch: [`Writer`](super::Writer) decides what belongs into one transaction, on a thread of its own,
//! because every call here waits for the disk.

use std::{
    collections::HashMap,
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use microagent_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Body, Headers, MessageId, Snapshot, Store, Stored, instant_at};

mod commit;
mod failure;
mod schema;

#[cfg(test)]
mod tests;

/// How long a predecessor that is just ending may still hold the file.
const PREDECESSOR: Duration = Duration::from_secs(5);

/// Keeps messages in one file; a commit that returned survives a power loss.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    /// The row of each queue's name.
    queues: HashMap<Arc<str>, i64>,
    last_id: MessageId,
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
        let mut connection =
            connect(path, patience).map_err(|error| failure::told(&error, path))?;
        schema::prepare(&mut connection, path)?;
        let mut store = Self {
            path: path.to_owned(),
            connection,
            queues: HashMap::new(),
            last_id: 0,
        };
        (store.queues, store.last_id) =
            store.read(|store| Ok((store.read_queues()?, store.read_last_id()?)))?;
        Ok(store)
    }

    fn read<T>(&self, reading: impl FnOnce(&Self) -> rusqlite::Result<T>) -> Result<T> {
        reading(self).map_err(|error| failure::told(&error, &self.path))
    }

    fn read_queues(&self) -> rusqlite::Result<HashMap<Arc<str>, i64>> {
        let mut statement = self.connection.prepare_cached(schema::QUEUES)?;
        let rows = statement.query_map([], |row| Ok((row.get(1)?, row.get(0)?)))?;
        rows.collect()
    }

    fn read_last_id(&self) -> rusqlite::Result<MessageId> {
        let mut statement = self.connection.prepare_cached(schema::LAST_ID)?;
        statement
            .query_row([], |row| row.get(0))
            .map(i64::cast_unsigned)
    }

    fn read_messages(&self) -> Result<Vec<Stored>> {
        let told = |error| failure::told(&error, &self.path);
        let names: HashMap<i64, &Arc<str>> =
            self.queues.iter().map(|(name, id)| (*id, name)).collect();
        let mut statement = self
            .connection
            .prepare_cached(schema::MESSAGES)
            .map_err(told)?;
        let mut rows = statement.query([]).map_err(told)?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next().map_err(told)? {
            let queue = row.get(1).map_err(told)?;
            let Some(&queue) = names.get(&queue) else {
                return Err(failure::unreadable(
                    &self.path,
                    "a message belongs to a queue that does not exist",
                ));
            };
            messages.push(stored(row, queue.clone()).map_err(told)?);
        }
        Ok(messages)
    }

    fn read_body(&self, id: MessageId) -> Result<Option<Body>> {
        let columns = self.read(|store| {
            let mut statement = store.connection.prepare_cached(schema::BODY)?;
            let row = statement.query_row([id.cast_signed()], |row| {
                let payload = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
                Ok((row.get::<_, Option<String>>(0)?, payload))
            });
            row.optional()
        })?;
        columns
            .map(|(headers, payload)| {
                Ok(Body {
                    payload,
                    headers: self.headers_of(id, headers)?,
                })
            })
            .transpose()
    }

    fn headers_of(&self, id: MessageId, column: Option<String>) -> Result<Headers> {
        let Some(text) = column else {
            return Ok(Headers::new());
        };
        serde_json::from_str(&text).map_err(|error| {
            failure::unreadable(
                &self.path,
                &format!("the headers of message {id} are not readable: {error}"),
            )
        })
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Snapshot> {
        let messages = self.read_messages()?;
        let mut queues: Vec<Arc<str>> = self.queues.keys().cloned().collect();
        queues.sort_unstable();
        Ok(Snapshot {
            queues,
            messages,
            next_id: self.last_id + 1,
        })
    }

    fn commit(&mut self, changes: &[super::Change]) -> Result<()> {
        self.transact(changes)
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        let read = |id: &MessageId| Some(self.read_body(*id).transpose()?.map(|body| (*id, body)));
        ids.iter().filter_map(read).collect()
    }
}

/// SQLite would create the file with the process's umask; the log beside it takes over the file's permissions.
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

fn connect(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn stored(row: &Row<'_>, queue: Arc<str>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        queue,
        attempt: row.get(2)?,
        crashes: row.get(3)?,
        due: row.get::<_, Option<i64>>(4)?.map(instant_at),
        taken: row.get(5)?,
        bytes: row.get(6)?,
    })
}
