//! The bare database: the same bodies in transactions of the same size, as durable.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use microagent::{Error, ErrorKind, Result};
use rusqlite::{Connection, params};

/// Inserts `count` bodies, `batch` per transaction.
pub(crate) fn insert(folder: &Path, count: u32, body: &str, batch: u32) -> Result<Duration> {
    failing(|| {
        let mut database = open(folder)?;
        let began = Instant::now();
        let mut left = count;
        while left > 0 {
            let transaction = database.transaction()?;
            let mut insert =
                transaction.prepare_cached("INSERT INTO raw (queue, body) VALUES (?1, ?2)")?;
            let now = left.min(batch);
            for _ in 0..now {
                insert.execute(params!["mailer", body.as_bytes()])?;
            }
            drop(insert);
            transaction.commit()?;
            left -= now;
        }
        Ok(began.elapsed())
    })
}

/// Reads and deletes everything, `batch` per transaction.
pub(crate) fn take_all(folder: &Path, batch: u32) -> Result<Duration> {
    failing(|| {
        let mut database = open(folder)?;
        let began = Instant::now();
        loop {
            let transaction = database.transaction()?;
            let mut read =
                transaction.prepare_cached("SELECT id, body FROM raw ORDER BY id LIMIT ?1")?;
            let rows = read.query_map([batch], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?;
            let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
            drop(read);
            let mut delete = transaction.prepare_cached("DELETE FROM raw WHERE id = ?1")?;
            for (id, _) in &rows {
                delete.execute([id])?;
            }
            drop(delete);
            transaction.commit()?;
            if rows.is_empty() {
                return Ok(began.elapsed());
            }
        }
    })
}

fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(folder.join("raw.sqlite"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, body BLOB NOT NULL)")?;
    Ok(database)
}

fn failing<T>(work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
    work().map_err(|error| Error::new(ErrorKind::Driver, error.to_string()))
}
