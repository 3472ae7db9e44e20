//! Reads messages and delivers them.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use futures_util::FutureExt;
use microagent_core::Delivery;
use tokio::sync::oneshot;

use super::{Event, Worker};
use crate::broker::settle::Settler;

/// The number of messages of a partition that are read whatever the prefetch is: those behind others of their key, or that wait for a retry.
const HELD: usize = 108;

impl Worker {
    /// Returns how many messages may be delivered beside those in flight.
    fn free(&self) -> usize {
        let available = self.setup.prefetch.available().now_or_never();
        available.flatten().unwrap_or_default()
    }

    pub(super) fn read(&mut self, now: SystemTime) {
        // A suspect needs no place beside others.
        let wanted = self.free().max(1);
        let most = HELD.max(2 * self.setup.limit);
        let mut errors = Vec::new();
        for partition in self.partitions.values_mut() {
            errors.extend(partition.read(&self.setup.name, wanted, most, now).err());
        }
        for error in errors {
            self.complain(&error);
        }
    }

    /// Delivers messages that are promised, and promises others with the next commit. Returns true if the gate keeps some
    /// back.
    pub(super) fn deliver(&mut self) -> bool {
        let gate = Arc::clone(&self.setup.gate);
        // If a suspect waits, the others wait for it, and its promise stays.
        let taking = (!self.asks_for_clear).then(|| gate.begin_take().now_or_never());
        let Some(taking) = taking.flatten() else {
            let suspect = self.planned_suspect();
            self.commit(suspect.as_slice());
            return true;
        };
        let plan = self.plan(self.free());
        let mut delivered = 0;
        if !self.commits.is_no_member() {
            for (id, offset) in &plan {
                if let Some(delivery) = self.promised(*id, *offset) {
                    self.setup.deliveries.send(delivery);
                    delivered += 1;
                }
            }
        }
        taking.found(delivered);
        let is_open = |worker: &Self, (id, offset): &(i32, i64)| {
            let partition = worker.partitions.get(id);
            partition.is_some_and(|it| !it.is_promised(*offset))
        };
        let open: Vec<_> = plan.into_iter().filter(|it| is_open(self, it)).collect();
        if !self.gathers() && (!open.is_empty() || self.is_commit_due()) {
            self.commit(&open);
        }
        false
    }

    /// Returns up to `free` messages that are ready, one of each partition in turn.
    fn plan(&mut self, free: usize) -> Vec<(i32, i64)> {
        self.turn = self.turn.wrapping_add(1);
        let mut lists: Vec<_> = self
            .partitions
            .values()
            .map(|partition| (partition.id, partition.ready()))
            .collect();
        let first = self.turn % lists.len().max(1);
        lists.rotate_left(first);
        let mut plan = Vec::new();
        while plan.len() < free && !lists.is_empty() {
            lists.retain_mut(|(id, ready)| {
                let next = (plan.len() < free).then(|| ready.next()).flatten();
                plan.extend(next.map(|offset| (*id, offset)));
                next.is_some()
            });
        }
        plan
    }

    /// Delivers a suspect if nothing else is in flight, or asks to be told when that is so.
    pub(super) fn deliver_suspect(&mut self) {
        let Some((id, offset)) = self.suspect() else {
            self.crowded_until = None;
            return self.reply_to_cleared(None);
        };
        if self.cleared.is_some() {
            if let Some(delivery) = self.promised(id, offset) {
                self.reply_to_cleared(Some(delivery));
            }
            return;
        }
        let is_crowded = self
            .crowded_until
            .is_some_and(|until| Instant::now() < until);
        if !self.asks_for_clear && !is_crowded {
            self.asks_for_clear = true;
            self.crowded_until = None;
            self.ask_for_clear();
        }
    }

    fn suspect(&self) -> Option<(i32, i64)> {
        let mut partitions = self.partitions.values();
        partitions.find_map(|it| Some((it.id, it.suspect()?)))
    }

    /// Returns the suspect that the next commit promises.
    fn planned_suspect(&self) -> Option<(i32, i64)> {
        self.cleared.as_ref()?;
        self.suspect()
    }

    fn ask_for_clear(&self) {
        let (gate, inbox) = (Arc::clone(&self.setup.gate), Arc::clone(&self.setup.inbox));
        let deliveries = Arc::clone(&self.setup.deliveries);
        self.setup.runtime.spawn(async move {
            let Some(cleared) = gate.clear().await else {
                return inbox.send(Event::Crowded);
            };
            let (reply, replied) = oneshot::channel();
            inbox.send(Event::Cleared(reply));
            if let Ok(Some(delivery)) = replied.await {
                cleared.found_suspect();
                deliveries.send(delivery);
            }
        });
    }

    pub(super) fn reply_to_cleared(&mut self, delivery: Option<Delivery>) {
        if let Some(reply) = self.cleared.take() {
            self.asks_for_clear = false;
            // A delivery that nobody takes is returned.
            let _ = reply.send(delivery);
        }
    }

    /// Returns the delivery of a message that a commit has promised.
    fn promised(&mut self, id: i32, offset: i64) -> Option<Delivery> {
        let partition = self.partitions.get_mut(&id)?;
        if !partition.is_promised(offset) {
            return None;
        }
        let message = partition.deliver(offset)?;
        let settler = Settler {
            partition: id,
            epoch: partition.epoch,
            offset,
            slot: self.setup.prefetch.slot(),
            shared: Arc::clone(&self.setup.shared),
        };
        Some(Delivery::new(message, Box::new(settler)))
    }
}
