//! An in-memory store for tests in virtual time. It behaves like the durable one, but nothing outlives the
//! process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use microagent_core::{Error, Result};

use super::{
    Body, Change, MessageId, Rewrite, Snapshot, Store, StoredLease, StoredMessage, duplicate,
    rewritten, stored_size,
};

/// Keeps messages in the memory of the process.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    queues: BTreeSet<Arc<str>>,
    messages: BTreeMap<MessageId, (StoredMessage, Body)>,
    leases: BTreeMap<String, StoredLease>,
    last_id: MessageId,
}

/// The state that a commit replaced, newest last, to be restored if the commit fails half way.
#[derive(Default)]
struct Undo {
    messages: Vec<(MessageId, Option<(StoredMessage, Body)>)>,
    queues: Vec<Arc<str>>,
    leases: Vec<(String, Option<StoredLease>)>,
    last_id: MessageId,
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Snapshot> {
        Ok(Snapshot {
            queues: self.queues.iter().cloned().collect(),
            messages: self.messages.values().map(|(row, _)| row.clone()).collect(),
            leases: self.leases.values().cloned().collect(),
            next_id: self.last_id + 1,
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut undo = Undo {
            last_id: self.last_id,
            ..Undo::default()
        };
        let done = changes
            .iter()
            .try_for_each(|change| self.apply(change, &mut undo));
        if done.is_err() {
            self.roll_back(undo);
        }
        done
    }

    fn bodies(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Body)>> {
        let body = |id: &MessageId| Some((*id, self.messages.get(id)?.1.clone()));
        Ok(ids.iter().filter_map(body).collect())
    }
}

impl MemoryStore {
    fn apply(&mut self, change: &Change, undo: &mut Undo) -> Result<()> {
        match change {
            Change::Insert {
                id,
                queue,
                body,
                due,
            } => {
                let row = StoredMessage {
                    id: *id,
                    queue: self.declare(queue, undo),
                    attempt: 1,
                    crashes: 0,
                    due: due.map(super::whole_millis),
                    first_failure: None,
                    taken: false,
                    bytes: stored_size(body),
                };
                self.insert(row, body.clone(), undo)?;
            }
            Change::Remove { id } => self.remove(*id, undo),
            Change::Delay {
                id,
                attempt,
                due,
                failed,
            } => self.update(*id, undo, |row| {
                row.attempt = *attempt;
                row.due = Some(super::whole_millis(*due));
                row.first_failure
                    .get_or_insert(super::whole_millis(*failed));
                row.taken = false;
            }),
            Change::Reschedule { id, due } => self.update(*id, undo, |row| {
                row.due = row.due.map(|_| super::whole_millis(*due));
            }),
            Change::Move {
                id,
                to,
                queue,
                headers,
            } => {
                self.relocate((*id, *to), queue, headers, undo)?;
            }
            Change::Suspect { id, crashes } => self.update(*id, undo, |row| {
                row.crashes = *crashes;
                row.taken = false;
            }),
            Change::Take { id } => self.update(*id, undo, |row| row.taken = true),
            Change::Untake { id } => self.update(*id, undo, |row| row.taken = false),
            Change::Declare { queue } => drop(self.declare(queue, undo)),
            Change::Lease(leased) => self.lease(leased, undo),
            Change::Release { key } => {
                undo.leases.push((key.clone(), self.leases.remove(key)));
            }
        }
        Ok(())
    }

    fn lease(&mut self, leased: &StoredLease, undo: &mut Undo) {
        let leased = StoredLease {
            until: super::whole_millis(leased.until),
            ..leased.clone()
        };
        let key = leased.key.clone();
        undo.leases
            .push((key.clone(), self.leases.insert(key, leased)));
    }

    /// Returns the name that all messages of the queue share.
    fn declare(&mut self, queue: &Arc<str>, undo: &mut Undo) -> Arc<str> {
        if let Some(known) = self.queues.get(queue) {
            return known.clone();
        }
        self.queues.insert(queue.clone());
        undo.queues.push(queue.clone());
        queue.clone()
    }

    fn insert(&mut self, row: StoredMessage, body: Body, undo: &mut Undo) -> Result<(), Error> {
        if self.messages.contains_key(&row.id) {
            return Err(duplicate(row.id));
        }
        undo.messages.push((row.id, None));
        self.last_id = self.last_id.max(row.id);
        self.messages.insert(row.id, (row, body));
        Ok(())
    }

    fn remove(&mut self, id: MessageId, undo: &mut Undo) {
        if let Some(gone) = self.messages.remove(&id) {
            undo.messages.push((id, Some(gone)));
        }
    }

    fn relocate(
        &mut self,
        (id, to): (MessageId, MessageId),
        queue: &Arc<str>,
        headers: &Rewrite,
        undo: &mut Undo,
    ) -> Result<()> {
        let Some((_, mut body)) = self.messages.get(&id).cloned() else {
            return Ok(());
        };
        body.headers = rewritten(body.headers, headers, body.payload.len());
        let row = StoredMessage {
            id: to,
            queue: self.declare(queue, undo),
            attempt: 1,
            crashes: 0,
            due: None,
            first_failure: None,
            taken: false,
            bytes: stored_size(&body),
        };
        self.insert(row, body, undo)?;
        self.remove(id, undo);
        Ok(())
    }

    fn update(&mut self, id: MessageId, undo: &mut Undo, change: impl FnOnce(&mut StoredMessage)) {
        if let Some(message) = self.messages.get_mut(&id) {
            undo.messages.push((id, Some(message.clone())));
            change(&mut message.0);
        }
    }

    fn roll_back(&mut self, undo: Undo) {
        for (id, before) in undo.messages.into_iter().rev() {
            match before {
                Some(message) => self.messages.insert(id, message),
                None => self.messages.remove(&id),
            };
        }
        for (key, before) in undo.leases.into_iter().rev() {
            match before {
                Some(leased) => self.leases.insert(key, leased),
                None => self.leases.remove(&key),
            };
        }
        for queue in undo.queues {
            self.queues.remove(&queue);
        }
        self.last_id = undo.last_id;
    }
}
