//! What the file says: names, messages, bodies.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    commit::{Known, headers_of},
    failure::{Failure, Result},
    schema,
};
use crate::store::{Body, Leased, MessageId, Snapshot, Stored, instant_at};

pub(super) fn known(connection: &Connection) -> Result<Known> {
    let mut statement = connection.prepare_cached(schema::QUEUES)?;
    let queues = statement.query_map([], |row| Ok((row.get(1)?, row.get(0)?)))?;
    let queues = queues.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare_cached(schema::LAST_ID)?;
    let ids = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (noted_id, newest): (i64, Option<i64>) = ids;
    Ok(Known {
        queues,
        last_id: noted_id.max(newest.unwrap_or_default()).cast_unsigned(),
        noted_id: noted_id.cast_unsigned(),
    })
}

pub(super) fn snapshot(connection: &Connection, known: &Known) -> Result<Snapshot> {
    let names: HashMap<i64, &Arc<str>> = known
        .queues
        .iter()
        .map(|(name, row)| (*row, name))
        .collect();
    let mut statement = connection.prepare_cached(schema::MESSAGES)?;
    let mut rows = statement.query([])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(stored(row, &names)?);
    }
    let mut queues: Vec<Arc<str>> = known.queues.keys().cloned().collect();
    queues.sort_unstable();
    Ok(Snapshot {
        queues,
        messages,
        leases: leases(connection)?,
        next_id: known.last_id + 1,
    })
}

fn leases(connection: &Connection) -> Result<Vec<Leased>> {
    let mut statement = connection.prepare_cached(schema::LEASES)?;
    let leases = statement.query_map([], |row| {
        Ok(Leased {
            key: row.get(0)?,
            holder: row.get(1)?,
            until: instant_at(row.get(2)?),
        })
    })?;
    Ok(leases.collect::<rusqlite::Result<_>>()?)
}

fn stored(row: &Row<'_>, names: &HashMap<i64, &Arc<str>>) -> Result<Stored> {
    let id = row.get::<_, i64>(0)?.cast_unsigned();
    let Some(&queue) = names.get(&row.get(1)?) else {
        return Err(Failure::Nonsense(format!(
            "message {id} belongs to a queue that does not exist"
        )));
    };
    Ok(Stored {
        id,
        queue: queue.clone(),
        attempt: row.get(2)?,
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
            Ok((row.get(0)?, payload))
        });
        if let Some((headers, payload)) = columns.optional()? {
            let headers = headers_of(id, headers)?;
            bodies.push((id, Body { payload, headers }));
        }
    }
    Ok(bodies)
}
