//! Applies changes as SQL statements in one transaction.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OptionalExtension, Params, params, types::ValueRef,
};
use tracing::warn;

use super::{
    failure::{Failure, Result},
    schema,
};
use crate::store::{Change, Headers, MessageId, Rewrite, column, millis_of, rewritten};

/// The state of the file that is kept in memory between two transactions.
#[derive(Debug)]
pub(super) struct FileState {
    /// The row of each queue's name.
    pub(super) queues: HashMap<Arc<str>, i64>,
    /// The greatest id ever stored.
    pub(super) last_id: MessageId,
    /// The greatest id that is written by itself. Until its message is removed, the row of a greater one
    /// records that as well.
    pub(super) noted_id: MessageId,
}

/// A transaction under way, with the statements that nearly all changes need.
struct Transaction<'c> {
    connection: &'c Connection,
    state: FileState,
    insert: CachedStatement<'c>,
    remove: CachedStatement<'c>,
}

/// Applies all changes and returns the new state, or none of them; then the state must be read again.
pub(super) fn transact(
    connection: &Connection,
    state: FileState,
    changes: &[Change],
) -> Result<FileState> {
    let done = write(connection, state, changes);
    // A full disk has ended the transaction already, and one that did not begin needs no end.
    if done.is_err() && !connection.is_autocommit() {
        execute(connection, schema::ROLLBACK, [])?;
    }
    done
}

fn write(connection: &Connection, state: FileState, changes: &[Change]) -> Result<FileState> {
    execute(connection, schema::BEGIN, [])?;
    let mut transaction = Transaction {
        connection,
        state,
        insert: connection.prepare_cached(schema::INSERT)?,
        remove: connection.prepare_cached(schema::REMOVE)?,
    };
    for change in changes {
        transaction.apply(change)?;
    }
    let state = transaction.state;
    execute(connection, schema::COMMIT, [])?;
    Ok(state)
}

impl Transaction<'_> {
    fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Insert {
                id,
                queue,
                body,
                due,
            } => {
                let queue = self.declare(queue)?;
                let (due, headers) = (due.map(millis_of), column(&body.headers));
                let row = params![id.cast_signed(), queue, due, headers, &*body.payload];
                let inserted = self.insert.execute(row);
                self.arrived(*id, inserted)
            }
            Change::Remove { id } => self.remove(*id),
            Change::Delay {
                id,
                attempt,
                due,
                failed,
            } => {
                let (due, failed) = (millis_of(*due), millis_of(*failed));
                self.execute(schema::DELAY, (id.cast_signed(), attempt, due, failed))
            }
            Change::Reschedule { id, due } => {
                self.execute(schema::RESCHEDULE, (id.cast_signed(), millis_of(*due)))
            }
            Change::Move {
                id,
                to,
                queue,
                headers,
            } => self.relocate((*id, *to), queue, headers),
            Change::Suspect { id, crashes } => {
                self.execute(schema::SUSPECT, (id.cast_signed(), crashes))
            }
            Change::Take { id } => self.execute(schema::SET_TAKEN, (id.cast_signed(), true)),
            Change::Untake { id } => self.execute(schema::SET_TAKEN, (id.cast_signed(), false)),
            Change::Declare { queue } => self.declare(queue).map(drop),
            Change::Lease(leased) => {
                let until = millis_of(leased.until);
                self.execute(schema::LEASE, (&leased.key, &leased.holder, until))
            }
            Change::Release { key } => self.execute(schema::RELEASE, [key]),
        }
    }

    /// Returns the row of a queue, and creates it if there is none.
    fn declare(&mut self, queue: &Arc<str>) -> Result<i64> {
        if let Some(row) = self.state.queues.get(queue) {
            return Ok(*row);
        }
        let mut statement = self.connection.prepare_cached(schema::DECLARE)?;
        let row = statement.query_row([&**queue], |row| row.get(0))?;
        self.state.queues.insert(queue.clone(), row);
        Ok(row)
    }

    fn arrived(&mut self, id: MessageId, inserted: rusqlite::Result<usize>) -> Result<()> {
        match inserted {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Err(Failure::Duplicate(id));
            }
            other => other?,
        };
        self.state.last_id = self.state.last_id.max(id);
        Ok(())
    }

    fn remove(&mut self, id: MessageId) -> Result<()> {
        self.note_last_id()?;
        self.remove.execute([id.cast_signed()])?;
        Ok(())
    }

    /// Writes the greatest id before a message is removed, which may be the last one.
    fn note_last_id(&mut self) -> Result<()> {
        let last_id = self.state.last_id;
        if self.state.noted_id != last_id {
            self.execute(schema::SET_LAST_ID, [last_id.cast_signed()])?;
            self.state.noted_id = last_id;
        }
        Ok(())
    }

    fn relocate(
        &mut self,
        (id, to): (MessageId, MessageId),
        queue: &Arc<str>,
        how: &Rewrite,
    ) -> Result<()> {
        let Some((old, payload)) = self.headers(id)? else {
            return Ok(());
        };
        let headers = column(&rewritten(old, how, payload));
        let row = params![
            id.cast_signed(),
            to.cast_signed(),
            self.declare(queue)?,
            headers
        ];
        let copied = self.connection.prepare_cached(schema::COPY)?.execute(row);
        self.arrived(to, copied)?;
        self.remove(id)
    }

    /// Returns the headers of a message and the size of its payload, if it is stored. If the headers cannot be
    /// read the message moves without them, because its body is worth more.
    fn headers(&self, id: MessageId) -> Result<Option<(Headers, usize)>> {
        let mut statement = self.connection.prepare_cached(schema::HEADERS)?;
        let columns = statement.query_row([id.cast_signed()], |row| {
            Ok((headers_of(row.get_ref(0)?), row.get::<_, u32>(1)? as usize))
        });
        let Some((headers, payload)) = columns.optional()? else {
            return Ok(None);
        };
        let headers = headers.unwrap_or_else(|error| {
            warn!(
                id,
                error, "the headers of a message cannot be read; it moves without them"
            );
            Headers::new()
        });
        Ok(Some((headers, payload)))
    }

    fn execute(&self, sql: &str, values: impl Params) -> Result<()> {
        execute(self.connection, sql, values)
    }
}

fn execute(connection: &Connection, sql: &str, values: impl Params) -> Result<()> {
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Converts headers from their stored form.
pub(super) fn headers_of(column: ValueRef<'_>) -> std::result::Result<Headers, String> {
    match column {
        ValueRef::Null => Ok(Headers::new()),
        ValueRef::Text(text) => serde_json::from_slice(text)
            .map_err(|error| format!("its headers are not a list of pairs: {error}")),
        _ => Err("its headers are not a text".to_owned()),
    }
}
