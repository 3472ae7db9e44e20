//! One partition that a consumer has: its progress, its messages that are not finished, and its commits.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use microagent_core::{Message, Result};
use rdkafka::{Message as _, consumer::base_consumer::PartitionQueue};

use super::{window::Window, worker::Context};
use crate::{Promise, Tracker, error::error_of, message::message_of};

/// From so many messages in the time of one commit on, the next commit promises more messages than those that are ready.
const BUSY: usize = 16;

/// A promise includes so many times the messages that were finished since the last commit was sent. They are used before the next commit has
/// succeeded, which is sent then; more, so that a consumer may become faster.
const AHEAD: usize = 3;

/// The offset and the metadata of a commit.
pub(super) type Commit = (i64, String);

/// A partition, from the time when its progress is known until it is given up.
pub(super) struct Partition {
    pub(super) id: i32,
    /// Which of the assignments of this process it is. A settlement of an earlier one is late.
    pub(super) epoch: u64,
    tracker: Tracker,
    queue: PartitionQueue<Context>,
    start: Start,
    window: Window,
    /// The group gives it to another consumer: nothing more of it is delivered.
    pub(super) is_leaving: bool,
    committed: Option<Commit>,
    /// The promise of the last commit that succeeded.
    confirmed: Promise,
    /// The promise of the commit that is under way.
    sent: Option<Promise>,
    /// True if the next commit may differ from the last one.
    is_changed: bool,
    finished_since_commit: usize,
    /// The number of messages that were finished in the time of a commit lately.
    rate: usize,
    /// The number of messages that the last commit promised, when it was sent, beyond those that were read.
    ahead: usize,
}

/// The start of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// No message was read.
    Unknown,
    /// The client did not begin at the first unfinished message, so it has to be told.
    NeedsSeek,
    /// Offsets that are missing from now on are missing in the log.
    Checked,
}

impl Partition {
    pub(super) fn new(
        id: i32,
        epoch: u64,
        tracker: Tracker,
        queue: PartitionQueue<Context>,
    ) -> Self {
        Self {
            id,
            epoch,
            tracker,
            queue,
            start: Start::Unknown,
            window: Window::default(),
            is_leaving: false,
            committed: None,
            confirmed: Promise::Left,
            sent: None,
            is_changed: true,
            finished_since_commit: 0,
            rate: 0,
            ahead: 0,
        }
    }

    /// Returns the offset that the client must be told, if there is one.
    pub(super) fn to_seek(&self) -> Option<i64> {
        (self.start == Start::NeedsSeek).then(|| self.tracker.next())
    }

    pub(super) fn is_sought(&mut self) {
        self.start = Start::Checked;
    }

    /// Registers that a message came on another way than the queue of the partition.
    pub(super) fn is_misplaced(&mut self) {
        self.start = Start::NeedsSeek;
    }

    /// Reads messages until so many are ready, or there are no more, or this consumer holds the most that it may.
    pub(super) fn read(
        &mut self,
        name: &Arc<str>,
        wanted: usize,
        most: usize,
        now: SystemTime,
    ) -> Result<()> {
        self.window.wake(now, &self.tracker);
        let mut room = None;
        while self.window.count_ready() < wanted
            && self.window.count() < most
            && !self.is_leaving
            && self.start != Start::NeedsSeek
        {
            // A message that is known needs no room.
            let is_known = self.tracker.knows_next();
            let left = *room.get_or_insert_with(|| self.tracker.room());
            if !is_known && left == 0 {
                break;
            }
            let Some(record) = self.queue.poll(Duration::ZERO) else {
                break;
            };
            let record = record.map_err(|error| error_of(&error))?;
            let offset = record.offset();
            if self.start == Start::Unknown && offset > self.tracker.next() {
                self.start = Start::NeedsSeek;
                break;
            }
            self.start = Start::Checked;
            room = (offset == self.tracker.next())
                .then(|| left.saturating_sub(usize::from(!is_known)));
            if offset >= self.tracker.next() && self.tracker.read(offset) {
                let message = message_of(name, &record);
                self.window
                    .push(offset, message, record.key(), &self.tracker);
            }
        }
        Ok(())
    }

    /// Returns the messages that are ready, in their order.
    pub(super) fn ready(&self) -> impl Iterator<Item = i64> + '_ {
        let is_leaving = self.is_leaving;
        self.window.ready().filter(move |_| !is_leaving)
    }

    /// Returns the first suspect that may be delivered.
    pub(super) fn suspect(&self) -> Option<i64> {
        self.window.suspect().filter(|_| !self.is_leaving)
    }

    /// Returns the time of the next retry.
    pub(super) fn next_due(&self) -> Option<SystemTime> {
        self.window.next_due()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.window.count_in_flight()
    }

    pub(super) fn has_in_flight(&self) -> bool {
        self.window.count_in_flight() > 0
    }

    /// Returns the next commit, which promises these messages. `None` if there is nothing to commit.
    pub(super) fn send(&mut self, planned: &[i64]) -> Option<Commit> {
        // One slow commit does not make a consumer slow.
        self.rate = std::mem::take(&mut self.finished_since_commit).max(self.rate * 3 / 4);
        self.promise(planned);
        self.ahead = match self.tracker.promise() {
            Promise::Open { reach } => usize::try_from(reach - self.tracker.next()).unwrap_or(0),
            Promise::Left | Promise::Alone { .. } | Promise::Series { .. } => 0,
        };
        if self.is_changed {
            let commit = (self.tracker.base(), self.tracker.metadata()?);
            self.is_changed = false;
            if self.committed.as_ref() != Some(&commit) {
                self.sent = Some(self.tracker.promise());
                return Some(commit);
            }
        }
        // The last commit says the same.
        planned.iter().for_each(|offset| self.window.start(*offset));
        None
    }

    /// Sets the promise of the next commit, which includes these messages.
    fn promise(&mut self, planned: &[i64]) {
        planned
            .iter()
            .for_each(|offset| self.tracker.start(*offset));
        let in_flight = self.window.last_in_flight();
        let before = self.tracker.promise();
        match in_flight.max(planned.iter().copied().max()) {
            // The next suspect of a series follows.
            None if self.suspect().is_some_and(|it| self.is_in_series(it)) => {}
            None => self.tracker.leave(),
            Some(last) if self.tracker.is_suspect(last) => self.tracker.open_suspect(last),
            Some(last) => self.tracker.open(self.reach(last)),
        }
        self.is_changed |= !planned.is_empty() || self.tracker.promise() != before;
    }

    fn is_in_series(&self, offset: i64) -> bool {
        let is_series = matches!(self.tracker.promise(), Promise::Series { .. });
        is_series && self.tracker.is_promised(offset)
    }

    /// Returns the reach of a promise whose last known message is this one. If many messages are finished in the time of a
    /// commit, it includes messages that are not ready yet, so that they need not wait for another commit.
    fn reach(&self, last: i64) -> i64 {
        if self.is_leaving || self.rate < BUSY {
            return last + 1;
        }
        let ahead = self.tracker.room().min(AHEAD * self.rate);
        let beyond = self.tracker.next() + i64::try_from(ahead).unwrap_or_default();
        beyond.max(last + 1)
    }

    /// Returns true if the next commit has to follow at once, so that it succeeds before the messages that the last one promised ahead are used.
    pub(super) fn uses_its_promise(&self) -> bool {
        self.ahead > 0 && AHEAD * self.finished_since_commit >= self.ahead
    }

    /// Registers that a commit has succeeded, which promised these messages.
    pub(super) fn is_committed(&mut self, commit: Commit, planned: &[i64]) {
        self.committed = Some(commit);
        if let Some(promise) = self.sent.take() {
            self.confirmed = promise;
        }
        planned.iter().for_each(|offset| self.window.start(*offset));
    }

    /// Registers that a commit has failed. It is unknown whether the server has it.
    pub(super) fn is_not_committed(&mut self) {
        self.committed = None;
        self.confirmed = Promise::Left;
        self.sent = None;
        self.is_changed = true;
    }

    /// Returns true if everything is committed.
    pub(super) fn is_clean(&self) -> bool {
        self.sent.is_none() && !self.is_changed
    }

    /// Returns true if a message may be delivered whatever becomes of the commit under way.
    pub(super) fn is_promised(&self, offset: i64) -> bool {
        let is_started = || self.tracker.note(offset).is_none() || self.window.is_started(offset);
        let promises = |promise: Promise| match promise {
            Promise::Left => false,
            Promise::Open { reach } => {
                offset < reach && !self.tracker.is_suspect(offset) && is_started()
            }
            Promise::Alone { offset: alone } => offset == alone,
            Promise::Series { start, end } => {
                (start..end).contains(&offset) && self.tracker.is_suspect(offset)
            }
        };
        promises(self.confirmed) && self.sent.is_none_or(promises)
    }

    /// Registers that a message is delivered, and returns it.
    pub(super) fn deliver(&mut self, offset: i64) -> Option<Message> {
        let message = self.window.take(offset)?;
        let Some(note) = self.tracker.note(offset) else {
            return Some(message);
        };
        let message = message
            .with_attempt(note.failures.saturating_add(1))
            .with_crashes(note.crashes);
        Some(match note.first_failure() {
            Some(at) => message.with_first_failure(at),
            None => message,
        })
    }

    pub(super) fn finish(&mut self, offset: i64) {
        self.is_changed = true;
        self.finished_since_commit += 1;
        self.tracker.finish(offset);
        self.window.finish(offset, &self.tracker);
    }

    pub(super) fn retry(&mut self, offset: i64, now: SystemTime, after: Duration) {
        self.tracker.fail(offset, now, after);
        self.give_back(offset);
    }

    pub(super) fn give_back(&mut self, offset: i64) {
        self.is_changed = true;
        self.window.give_back(offset, &self.tracker);
    }

    /// Registers that nothing is in flight any longer: handlers that still run are given up.
    pub(super) fn give_up(&mut self) {
        self.is_leaving = true;
        self.is_changed = true;
        self.window = Window::default();
        self.tracker.leave();
    }
}
