//! What a failure of SQLite means to the person who has to do something about it.

use std::path::Path;

use microagent_core::{Error, ErrorKind};
use rusqlite::ErrorCode;

/// The error with the file, what is wrong with it, and what helps.
pub(super) fn told(error: &rusqlite::Error, path: &Path) -> Error {
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => (
            ErrorKind::Configuration,
            "not a database of MicroAgent; it was left as it is: give the hub another folder, or move the file away",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Driver,
            "damaged; move it away together with its -wal file and a new one is created: \
             `sqlite3 FILE .recover` saves what can be read of the old one",
        ),
        Some(ErrorCode::DiskFull) => (
            ErrorKind::Driver,
            "the disk is full; free some space: what is stored is safe, and what was not confirmed is not stored",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Driver,
            "held by another process; one process hosts a folder, so end the other or choose another folder",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::Configuration,
            "cannot be opened for writing; the folder and the file must belong to the user who runs this",
        ),
        _ => (ErrorKind::Driver, "the storage failed"),
    };
    Error::new(kind, format!("{}: {what} ({error})", path.display()))
}

/// An error for a row that no version of this program wrote.
pub(super) fn unreadable(path: &Path, what: &str) -> Error {
    let text = format!(
        "{}: damaged: {what}; move it away together with its -wal file and a new one is created",
        path.display()
    );
    Error::new(ErrorKind::Driver, text)
}
