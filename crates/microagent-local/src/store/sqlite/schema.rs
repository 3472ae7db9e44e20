//! The tables, all SQL statements, and the check that a file is ours.
//!
//! A message is one row under its id, so that arrivals append to the end of the tree and settlements find their
//! row by its number. The small columns come first: they are read without the body.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::{Failure, Result};

/// Marks the file as ours ("µagt"); `file(1)` shows it too.
const APPLICATION_ID: i32 = 0x75_61_67_74;

/// Raised with every change of the tables.
const VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    queue INTEGER NOT NULL REFERENCES queue (id),
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    due INTEGER,            -- milliseconds since 1970-01-01 UTC
    first_failure INTEGER,  -- the same
    taken INTEGER NOT NULL, -- 1: in flight in the host's own process
    headers TEXT,           -- [[name, value], ...]
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE lease (
    key TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL  -- milliseconds since 1970-01-01 UTC
) STRICT, WITHOUT ROWID;
CREATE TABLE arrival (
    last_id INTEGER NOT NULL -- with the ids of the messages the greatest ever given, so that none is given twice
) STRICT;
INSERT INTO arrival VALUES (0);
";

/// One owner, so that no other process shares memory with it. Set before the file is read; that changes nothing
/// in the file.
const OWNERSHIP: &str = "PRAGMA locking_mode = EXCLUSIVE";

/// A log, synced by [`Store::sync`](crate::store::Store::sync) and before it is written back, which is every 4 MiB: from then on
/// it is written from its beginning, and a sync need not write down that it grew. And a cache that holds what was sent until
/// it is delivered.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA wal_autocheckpoint = 1000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
PRAGMA foreign_keys = OFF;
";

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";

pub(super) const WRITE_LOG_BACK: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(super) const RECYCLE_LOG: &str = "PRAGMA wal_checkpoint(RESTART)";

pub(super) const QUEUES: &str = "SELECT id, name FROM queue ORDER BY name";
pub(super) const LAST_ID: &str =
    "SELECT (SELECT max(last_id) FROM arrival WHERE last_id < 1 << 62),
    (SELECT max(id) FROM message WHERE id < 1 << 62)";
pub(super) const MESSAGES: &str = "SELECT id, queue, attempt, crashes, due, taken, length(payload) + coalesce(octet_length(headers), 0),
    first_failure FROM message ORDER BY id";
pub(super) const BODY: &str = "SELECT headers, payload FROM message WHERE id = ?1";
pub(super) const HEADERS: &str = "SELECT headers, length(payload) FROM message WHERE id = ?1";

pub(super) const DECLARE: &str = "INSERT INTO queue (name) VALUES (?1) RETURNING id";
pub(super) const SET_LAST_ID: &str = "UPDATE arrival SET last_id = ?1";
pub(super) const INSERT: &str =
    "INSERT INTO message (id, queue, attempt, crashes, due, taken, headers, payload)
    VALUES (?1, ?2, 1, 0, ?3, 0, ?4, ?5)";
pub(super) const COPY: &str =
    "INSERT INTO message (id, queue, attempt, crashes, due, taken, headers, payload)
    SELECT ?2, ?3, 1, 0, NULL, 0, ?4, payload FROM message WHERE id = ?1";
pub(super) const REMOVE: &str = "DELETE FROM message WHERE id = ?1";
pub(super) const DELAY: &str = "UPDATE message SET attempt = ?2, due = ?3, taken = 0,
    first_failure = coalesce(first_failure, ?4) WHERE id = ?1";
pub(super) const RESCHEDULE: &str = "UPDATE message SET due = ?2 WHERE id = ?1 AND due IS NOT NULL";
pub(super) const SUSPECT: &str = "UPDATE message SET crashes = ?2, taken = 0 WHERE id = ?1";
pub(super) const SET_TAKEN: &str = "UPDATE message SET taken = ?2 WHERE id = ?1";
pub(super) const LEASES: &str = "SELECT key, holder, until FROM lease ORDER BY key";
pub(super) const LEASE: &str =
    "INSERT OR REPLACE INTO lease (key, holder, until) VALUES (?1, ?2, ?3)";
pub(super) const RELEASE: &str = "DELETE FROM lease WHERE key = ?1";

/// Prepares the connection: an empty file gets the tables; any other must be ours and not newer.
pub(super) fn prepare(connection: &mut Connection) -> Result<()> {
    connection.execute_batch(OWNERSHIP)?;
    // Before the first write: a foreign file must stay as it is.
    let empty = recognise(connection)?;
    connection.execute_batch(SETTINGS)?;
    if empty {
        create(connection)?;
    }
    Ok(())
}

/// Returns whether the file is new. A file that is not ours is an error.
fn recognise(connection: &Connection) -> Result<bool> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    match (tables, application, version) {
        (0, 0, 0) => Ok(true),
        (_, APPLICATION_ID, VERSION) => Ok(false),
        (_, APPLICATION_ID, newer) if newer > VERSION => Err(too_new(newer)),
        _ => Err(foreign()),
    }
}

fn create(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

fn too_new(version: i32) -> Failure {
    Failure::Foreign(format!(
        "written by a newer MicroAgent (format {version}, this one knows up to {VERSION}); \
         update this program, or give the hub another folder"
    ))
}

fn foreign() -> Failure {
    let what = "a database, but not of MicroAgent; it was left as it is: \
        give the hub another folder, or move the file away";
    Failure::Foreign(what.to_owned())
}
