//! The bare database: the same bodies in transactions of the same size, as durable.

use std::{path::Path, time::Duration};

use microagent::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::measure::{Cost, Stopwatch};

/// Inserts `count` bodies, `batch` per transaction.
pub(crate) fn insert(folder: &Path, count: u32, body: &str, batch: u32) -> Result<Cost> {
    with_error(|| {
        let mut database = open(folder)?;
        let watch = Stopwatch::start();
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
        Ok(watch.stop())
    })
}

/// Reads and deletes all bodies, `batch` per transaction; `handled` gets the number of each transaction.
pub(crate) fn take_all(folder: &Path, batch: u32, handled: impl Fn(u32)) -> Result<Cost> {
    with_error(|| {
        let mut database = open(folder)?;
        let watch = Stopwatch::start();
        loop {
            let count = take(&mut database, batch)?;
            if count == 0 {
                return Ok(watch.stop());
            }
            handled(count);
        }
    })
}

fn take(database: &mut Connection, batch: u32) -> rusqlite::Result<u32> {
    // Several processes read and delete: one that reads first could not delete if another one has written meanwhile.
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut read = transaction.prepare_cached("SELECT id, body FROM raw ORDER BY id LIMIT ?1")?;
    let rows = read.query_map([batch], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    drop(read);
    let mut delete = transaction.prepare_cached("DELETE FROM raw WHERE id = ?1")?;
    let mut count = 0;
    for (id, _) in &rows {
        delete.execute([id])?;
        count += 1;
    }
    drop(delete);
    transaction.commit()?;
    Ok(count)
}

fn open(folder: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(folder.join("raw.sqlite"))?;
    database.busy_timeout(Duration::from_secs(60))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute_batch("CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, body BLOB NOT NULL)")?;
    Ok(database)
}

fn with_error<T>(work: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
    work().map_err(|error| Error::new(ErrorKind::Driver, error.to_string()))
}
