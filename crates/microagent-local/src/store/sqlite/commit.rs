//! Changes as statements, in one transaction.

use std::{sync::Arc, time::SystemTime};

use microagent_core::Result;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, params};

use super::{SqliteStore, failure, schema};
use crate::store::{Body, Change, Headers, MessageId, duplicate, grown, millis_of};

impl SqliteStore {
    /// Carries out all changes, or none.
    pub(super) fn transact(&mut self, changes: &[Change]) -> Result<()> {
        let last_id = self.last_id;
        let mut declared = Vec::new();
        let Err(failed) = self.write(changes, &mut declared) else {
            return Ok(());
        };
        self.last_id = last_id;
        for queue in declared {
            self.queues.remove(&queue);
        }
        self.roll_back()?;
        Err(failed)
    }

    fn write(&mut self, changes: &[Change], declared: &mut Vec<Arc<str>>) -> Result<()> {
        let last_id = self.last_id;
        self.execute(schema::BEGIN, [])?;
        for change in changes {
            self.apply(change, declared)?;
        }
        if self.last_id != last_id {
            self.execute(schema::SET_LAST_ID, [self.last_id.cast_signed()])?;
        }
        self.execute(schema::COMMIT, [])
    }

    fn apply(&mut self, change: &Change, declared: &mut Vec<Arc<str>>) -> Result<()> {
        match change {
            Change::Insert {
                id,
                queue,
                body,
                due,
                attempt,
                crashes,
            } => {
                let queue = self.declare(queue, declared)?;
                self.insert(*id, (queue, *attempt, *crashes, *due), body)
            }
            Change::Remove { id } => self.execute(schema::REMOVE, [id.cast_signed()]),
            Change::Delay { id, attempt, due } => {
                self.execute(schema::DELAY, (id.cast_signed(), attempt, millis_of(*due)))
            }
            Change::Move {
                id,
                to,
                queue,
                headers,
                attempt,
            } => {
                let Some(old) = self.headers(*id)? else {
                    return Ok(());
                };
                let queue = self.declare(queue, declared)?;
                self.relocate((*id, *to), queue, &grown(old, headers), *attempt)
            }
            Change::Suspect { id, crashes } => {
                self.execute(schema::SUSPECT, (id.cast_signed(), crashes))
            }
            Change::Take { id } => self.execute(schema::SET_TAKEN, (id.cast_signed(), true)),
            Change::Untake { id } => self.execute(schema::SET_TAKEN, (id.cast_signed(), false)),
            Change::Declare { queue } => self.declare(queue, declared).map(drop),
        }
    }

    /// The queue's row, which is made where there is none.
    fn declare(&mut self, queue: &Arc<str>, declared: &mut Vec<Arc<str>>) -> Result<i64> {
        if let Some(row) = self.queues.get(queue) {
            return Ok(*row);
        }
        let row = self.read(|store| {
            let mut statement = store.connection.prepare_cached(schema::DECLARE)?;
            statement.query_row([&**queue], |row| row.get(0))
        })?;
        self.queues.insert(queue.clone(), row);
        declared.push(queue.clone());
        Ok(row)
    }

    fn insert(
        &mut self,
        id: MessageId,
        (queue, attempt, crashes, due): (i64, u32, u32, Option<SystemTime>),
        body: &Body,
    ) -> Result<()> {
        let headers = column(&body.headers);
        let row = params![
            id.cast_signed(),
            queue,
            attempt,
            crashes,
            due.map(millis_of),
            headers,
            &*body.payload
        ];
        self.arrive(id, schema::INSERT, row)
    }

    fn relocate(
        &mut self,
        (id, to): (MessageId, MessageId),
        queue: i64,
        headers: &Headers,
        attempt: u32,
    ) -> Result<()> {
        let row = params![
            id.cast_signed(),
            to.cast_signed(),
            queue,
            attempt,
            column(headers)
        ];
        self.arrive(to, schema::COPY, row)?;
        self.execute(schema::REMOVE, [id.cast_signed()])
    }

    /// Runs a statement that stores a message under a new id.
    fn arrive(&mut self, id: MessageId, sql: &str, row: &[&dyn rusqlite::ToSql]) -> Result<()> {
        match execute(&self.connection, sql, row) {
            Ok(()) => {
                self.last_id = self.last_id.max(id);
                Ok(())
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(duplicate(id))
            }
            Err(error) => Err(failure::told(&error, &self.path)),
        }
    }

    /// The headers of a message, if it is stored.
    fn headers(&self, id: MessageId) -> Result<Option<Headers>> {
        let column: Option<Option<String>> = self.read(|store| {
            let mut statement = store.connection.prepare_cached(schema::HEADERS)?;
            statement
                .query_row([id.cast_signed()], |row| row.get(0))
                .optional()
        })?;
        column.map(|text| self.headers_of(id, text)).transpose()
    }

    fn roll_back(&self) -> Result<()> {
        // A full disk has ended the transaction already, and one that did not begin needs no end.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.execute(schema::ROLLBACK, [])
    }

    fn execute(&self, sql: &str, values: impl Params) -> Result<()> {
        execute(&self.connection, sql, values).map_err(|error| failure::told(&error, &self.path))
    }
}

fn execute(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Headers as they are stored: nothing, or a JSON list of pairs, which keeps order and repetition.
fn column(headers: &Headers) -> Option<String> {
    (!headers.is_empty()).then(|| serde_json::json!(headers).to_string())
}
