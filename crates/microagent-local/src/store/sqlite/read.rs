//! Reads the file: names, messages, bodies.
//!
//! A row that no version of this program wrote is left unchanged and reported in the log, so that it does not
//! stop the others.

use std::{collections::HashMap, fmt::Display, sync::Arc};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Statement};
use tracing::error;

use super::{
    commit::{FileState, headers_of},
    failure::Result,
    schema,
};
use crate::store::{Body, MessageId, Snapshot, StoredLease, StoredMessage, instant_at};

/// The number of unreadable rows that are reported one by one.
const NAMED: usize = 20;

/// Ids are below this, so that they can always grow.
const MAX_ID: i64 = 1 << 62;

pub(super) fn state(connection: &Connection) -> Result<FileState> {
    let mut statement = connection.prepare_cached(schema::QUEUES)?;
    let queues = readable("queue", &mut statement, |row| {
        Ok((row.get::<_, Arc<str>>(1)?, row.get::<_, i64>(0)?))
    })?;
    let mut statement = connection.prepare_cached(schema::LAST_ID)?;
    let ids = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (noted_id, newest): (Option<i64>, Option<i64>) = ids;
    let noted_id = noted_id.unwrap_or_default().max(0);
    Ok(FileState {
        queues: queues.into_iter().collect(),
        last_id: noted_id.max(newest.unwrap_or_default()).cast_unsigned(),
        noted_id: noted_id.cast_unsigned(),
    })
}

pub(super) fn snapshot(connection: &Connection, state: &FileState) -> Result<Snapshot> {
    let names: HashMap<i64, &Arc<str>> = state
        .queues
        .iter()
        .map(|(name, row)| (*row, name))
        .collect();
    let mut statement = connection.prepare_cached(schema::MESSAGES)?;
    let messages = readable("message", &mut statement, |row| stored(row, &names))?;
    let mut queues: Vec<Arc<str>> = state.queues.keys().cloned().collect();
    queues.sort_unstable();
    Ok(Snapshot {
        queues,
        messages,
        leases: leases(connection)?,
        next_id: state.last_id + 1,
    })
}

/// Reads the rows that can be read, and reports the others by their first column.
fn readable<T>(
    table: &str,
    statement: &mut Statement<'_>,
    read: impl Fn(&Row<'_>) -> std::result::Result<T, ReadError>,
) -> Result<Vec<T>> {
    let (mut values, mut unreadable) = (Vec::new(), 0);
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(value) => values.push(value),
            Err(ReadError(why)) => {
                unreadable += 1;
                if unreadable <= NAMED {
                    set_aside(table, &format!("{:?}", row.get_ref(0)?), &why);
                }
            }
        }
    }
    if unreadable > NAMED {
        error!(
            table,
            unreadable, "more rows cannot be read than are named here"
        );
    }
    Ok(values)
}

/// The reason for which a row cannot be read.
struct ReadError(String);

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

fn set_aside(table: &str, row: &dyn Display, why: &str) {
    error!(
        table, %row, why,
        "a row of the database cannot be read and is set aside: it stays where it is, and is not delivered"
    );
}

fn leases(connection: &Connection) -> Result<Vec<StoredLease>> {
    let mut statement = connection.prepare_cached(schema::LEASES)?;
    readable("lease", &mut statement, |row| {
        Ok(StoredLease {
            key: row.get(0)?,
            holder: row.get(1)?,
            until: instant_at(row.get(2)?),
        })
    })
}

fn stored(
    row: &Row<'_>,
    names: &HashMap<i64, &Arc<str>>,
) -> std::result::Result<StoredMessage, ReadError> {
    let id = row.get::<_, i64>(0)?;
    if !(1..MAX_ID).contains(&id) {
        return Err(ReadError(format!("expected an id from 1 to {MAX_ID}")));
    }
    let Some(&queue) = names.get(&row.get(1)?) else {
        return Err(ReadError("its queue does not exist".to_owned()));
    };
    Ok(StoredMessage {
        id: id.cast_unsigned(),
        queue: queue.clone(),
        attempt: row.get::<_, u32>(2)?.max(1),
        crashes: row.get(3)?,
        due: row.get::<_, Option<i64>>(4)?.map(instant_at),
        taken: row.get(5)?,
        bytes: row.get(6)?,
        first_failure: row.get::<_, Option<i64>>(7)?.map(instant_at),
    })
}

pub(super) fn bodies(connection: &Connection, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
    let mut statement = connection.prepare_cached(schema::BODY)?;
    let mut bodies = Vec::with_capacity(ids.len());
    for &id in ids {
        let columns = statement.query_row([id.cast_signed()], |row| {
            let payload = Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
            Ok((headers_of(row.get_ref(0)?), payload))
        });
        match columns.optional() {
            Ok(Some((Ok(headers), payload))) => bodies.push((id, Body { payload, headers })),
            Ok(Some((Err(why), _))) => set_aside("message", &id, &why),
            Ok(None) => {}
            Err(error) if is_of_the_row(&error) => set_aside("message", &id, &error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bodies)
}

/// Returns whether an error concerns this row alone, permanently.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => code == ErrorCode::DatabaseCorrupt,
        None => true,
    }
}
