//! Converts failures of SQLite into errors that say what the user can do.

use std::{io, path::Path};

use microagent_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

use crate::store::{MessageId, duplicate};

pub(super) type Result<T> = std::result::Result<T, Failure>;

/// A failure of the file.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite or the disk reported an error.
    Sqlite(rusqlite::Error),
    /// The disk has no room for new messages.
    Full,
    /// The disk reported an error outside SQLite.
    Io(io::Error),
    /// A message of that id is stored already.
    Duplicate(MessageId),
    /// The file belongs to another program, or to a later version of this one.
    Foreign(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Failure {
    pub(super) fn is_full_disk(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// Returns the error with the file, the cause and the remedy.
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Duplicate(id) => duplicate(id),
            Self::Foreign(what) => {
                let text = format!("{}: {what}", path.display());
                Error::new(ErrorKind::Configuration, text)
            }
            Self::Full => Error::new(ErrorKind::Driver, format!("{}: {FULL}", path.display())),
            Self::Io(error) => {
                let text = format!("{}: the storage failed ({error})", path.display());
                Error::new(ErrorKind::Driver, text).with_source(error)
            }
            Self::Sqlite(error) => {
                let (kind, what) = meaning(&error);
                let text = format!("{}: {what} ({error})", path.display());
                Error::new(kind, text).with_source(error)
            }
        }
    }
}

const DAMAGED: &str = "damaged; move it away together with its -wal file and a new one is created: \
    `sqlite3 FILE .recover` saves what can be read of the old one";

const FULL: &str = "the disk is full; free some space: what is stored is safe, and what was not confirmed is not stored";

fn meaning(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Configuration,
            "not a database of MicroAgent; it was left as it is: give the hub another folder, or move the file away",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Driver, DAMAGED),
        Some(ErrorCode::DiskFull) => (ErrorKind::Driver, FULL),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Driver,
            "held by another process; one process hosts a folder, so end the other or choose another folder",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::Configuration,
            "cannot be opened for writing; the folder and the file must belong to the user who runs this",
        ),
        _ => (ErrorKind::Driver, "the storage failed"),
    }
}
