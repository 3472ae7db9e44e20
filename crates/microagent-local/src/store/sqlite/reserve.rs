//! Disk space that is reserved in the database file for the contents of the log when the disk has little space
//! left.
//!
//! The log is written back into the database from time to time, and begins again after that. On a full disk
//! that must still be possible, or messages could no longer be removed: so no change that grows the database
//! enters the log before the disk has reserved space for it. That slows every commit down, and is omitted while
//! the disk has plenty of space. This module writes nothing: the rest of the file is SQLite's.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use tracing::warn;

use super::failure::{Failure, Result};
use crate::store::{Change, Headers, Rewrite};

/// A disk with more than this is not full soon: it is many times the size of the log.
const PLENTY: u64 = 256 * 1024 * 1024;

/// The space that is reserved at a time, if the disk has it.
const CHUNK: u64 = 1024 * 1024;

/// The minimum space of the log itself, in which messages can be removed.
const LOG: u64 = 256 * 1024;

/// The pages that arrivals leave to settlements, some of which need one.
const SETTLEMENTS: u64 = 32;

/// The bytes that a row takes beside its text.
const ROW: u64 = 64;

/// The database file beside the connection.
#[derive(Debug)]
pub(super) struct DiskReserve {
    /// Dropped after the connection: closing any handle of a file ends all of a process's locks on it.
    file: File,
    page: u64,
}

/// The outcome of reserving space.
enum Allocation {
    Yes,
    Full,
    /// The file system cannot reserve space.
    Unknown,
}

impl DiskReserve {
    /// Opens the file of a database that is open already, so that its owner is known.
    pub(super) fn of(path: &Path, connection: &Connection) -> Result<Self> {
        let file = File::options().read(true).write(true).open(path);
        let reserve = Self {
            file: file.map_err(Failure::Io)?,
            page: number(connection, "PRAGMA page_size")?,
        };
        let log = File::options().write(true).open(log_of(path));
        // A disk that is full already is told to those who send.
        drop(log.and_then(|log| take(&log, LOG)));
        Ok(reserve)
    }

    /// Reserves the space that these changes may need, and the contents of the log.
    ///
    /// # Errors
    /// When new messages have none. Others may still succeed without.
    pub(super) fn secure(&self, connection: &Connection, changes: &[Change]) -> Result<()> {
        if self.disk_has_plenty() {
            return Ok(());
        }
        self.take_for(connection, changes)
    }

    /// The same, however much the disk has left.
    pub(super) fn take_for(&self, connection: &Connection, changes: &[Change]) -> Result<()> {
        let (needed, arrives) = self.needed(changes);
        let spare = if arrives { SETTLEMENTS } else { 0 };
        let pages = number(connection, "PRAGMA page_count")?;
        let free = number(connection, "PRAGMA freelist_count")?;
        let bytes = (pages + (needed + spare).saturating_sub(free)) * self.page;
        match self.take(bytes).map_err(Failure::Io)? {
            Allocation::Full if arrives => Err(Failure::Full),
            Allocation::Yes | Allocation::Full | Allocation::Unknown => Ok(()),
        }
    }

    fn disk_has_plenty(&self) -> bool {
        let left = fstatvfs(&self.file).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        left.is_ok_and(|left| left > PLENTY)
    }

    /// Makes the file at least so large. When the log has been written back it may be shorter again.
    fn take(&self, bytes: u64) -> io::Result<Allocation> {
        if self.file.metadata()?.len() >= bytes {
            return Ok(Allocation::Yes);
        }
        match take(&self.file, bytes.next_multiple_of(CHUNK))? {
            Allocation::Full => take(&self.file, bytes),
            given => Ok(given),
        }
    }

    /// Returns how many pages the changes may add, for their text and for the tree around it, and whether
    /// messages are among them.
    fn needed(&self, changes: &[Change]) -> (u64, bool) {
        let (mut small, mut large, mut arrives) = (0, 0, false);
        for change in changes {
            let bytes = match change {
                Change::Insert { body, .. } => {
                    arrives = true;
                    body.payload.len() + length(&body.headers)
                }
                Change::Move {
                    headers: Rewrite::Add(headers),
                    ..
                } => length(headers),
                _ => continue,
            };
            let bytes = bytes as u64 + ROW;
            if bytes < self.page / 4 {
                small += bytes;
            } else {
                // A page carries a little less than its size.
                large += bytes.div_ceil(self.page - ROW) + 1;
            }
        }
        // Pages of small rows are not quite full, and some hold the tree together.
        (small.div_ceil(self.page / 2) + large, arrives)
    }
}

/// The log beside the database.
pub(super) fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn take(file: &File, bytes: u64) -> io::Result<Allocation> {
    let length = file.metadata()?.len();
    if length >= bytes {
        return Ok(Allocation::Yes);
    }
    match fallocate(file, FallocateFlags::empty(), length, bytes - length) {
        Ok(()) => Ok(Allocation::Yes),
        Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => Ok(Allocation::Full),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            Ok(Allocation::Unknown)
        }
        Err(error) => {
            warn!(%error, "no room could be taken on the disk ahead");
            Ok(Allocation::Unknown)
        }
    }
}

fn length(headers: &Headers) -> usize {
    let lengths = headers.iter().map(|(name, value)| name.len() + value.len());
    lengths.sum()
}

fn number(connection: &Connection, sql: &str) -> Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let number: i64 = statement.query_row([], |row| row.get(0))?;
    Ok(number.cast_unsigned())
}
