//! The progress of one partition: which messages are finished, which have failed, and which are suspects.
//!
//! It knows no client and no clock. The driver stores it in the commits of the group: the offset of a commit is
//! [`Tracker::base`], and its metadata is [`Tracker::metadata`].

mod metadata;
mod runs;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use metadata::LARGEST_METADATA;
use runs::Runs;

/// The longest delay of a retry: 2^40 ms, which is more than 34 years.
const LONGEST_DELAY: u64 = 1 << 40;

/// If so many suspects follow each other, one promise is for all of them.
const SERIES: usize = 64;

/// The history of an unfinished message that has failed or is a suspect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The number of attempts that failed.
    pub failures: u32,
    /// The time of the first failure, in milliseconds since the Unix epoch. 0 without a failure.
    first_failure: u64,
    /// The time of the next attempt, likewise.
    due: u64,
    /// It has failed, and the next attempt was not started. It is not in flight then.
    waits: bool,
    /// The number of times that a consumer died while the message was in flight.
    pub crashes: u32,
}

impl Note {
    /// Returns the time of the first failure, to the millisecond.
    #[must_use]
    pub fn first_failure(&self) -> Option<SystemTime> {
        (self.failures > 0).then(|| UNIX_EPOCH + Duration::from_millis(self.first_failure))
    }

    /// Returns the time of the next attempt, to the millisecond.
    #[must_use]
    pub fn due(&self) -> Option<SystemTime> {
        (self.failures > 0).then(|| UNIX_EPOCH + Duration::from_millis(self.due))
    }
}

/// The promise that the owner of a partition made before it delivered messages. It decides which messages are suspects if the next
/// owner finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promise {
    /// Nothing is in flight: the last owner left the partition.
    #[default]
    Left,
    /// Only messages below this offset were delivered, but no suspects and none that waits for its next attempt.
    Open {
        /// The offset behind the last message that may be in flight.
        reach: i64,
    },
    /// Only this message was delivered.
    Alone {
        /// The offset of a suspect.
        offset: i64,
    },
    /// Only these suspects were delivered, one at a time.
    Series {
        /// The offset of the first one.
        start: i64,
        /// The offset behind the last one.
        end: i64,
    },
}

/// The progress of one partition.
///
/// ```
/// use microagent_kafka::Tracker;
///
/// let mut tracker = Tracker::new(5);
/// for offset in 5..8 {
///     assert!(tracker.read(offset), "it is to be handled");
/// }
/// tracker.open(tracker.next());
/// tracker.finish(6);
/// let committed = (tracker.base(), tracker.metadata().expect("it is short"));
/// assert_eq!(committed.0, 5, "5 is not finished");
///
/// // The process dies. The next owner repeats 5 and 7, and knows that they were in flight.
/// let mut next = Tracker::restored(committed.0, &committed.1);
/// assert!(next.read(5) && !next.read(6) && next.read(7));
/// assert_eq!(next.suspects().collect::<Vec<_>>(), [5, 7]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// The first offset that is not finished.
    base: i64,
    /// The first offset that was not read.
    next: i64,
    /// The finished messages beyond `base`.
    finished: Runs,
    /// By offset, for unfinished messages only.
    notes: BTreeMap<i64, Note>,
    promise: Promise,
    /// A process died in a series of suspects below this offset. Each of them needs a promise of its own.
    series_died_below: i64,
}

impl Tracker {
    /// Creates the progress of a partition of which nothing beyond this offset is known.
    #[must_use]
    pub fn new(base: i64) -> Self {
        Self {
            base,
            next: base,
            finished: Runs::default(),
            notes: BTreeMap::new(),
            promise: Promise::Left,
            series_died_below: base,
        }
    }

    /// Returns the progress as a commit has it, for those who only look. Metadata that [`metadata`](Self::metadata) did not
    /// write for this offset is ignored: nothing beyond the offset is known then.
    #[must_use]
    pub fn committed(base: i64, metadata: &str) -> Self {
        metadata::read(base, metadata).unwrap_or_else(|| Self::new(base))
    }

    /// Restores the progress from a commit, for the next owner. If the last owner did not leave, the messages that may have
    /// been in flight are suspects: their crashes are counted. Those of a series are not, as only one of them was in flight; the next
    /// time each is delivered alone.
    #[must_use]
    pub fn restored(base: i64, metadata: &str) -> Self {
        let mut tracker = Self::committed(base, metadata);
        if let Promise::Series { end, .. } = tracker.promise {
            tracker.series_died_below = tracker.series_died_below.max(end);
        } else {
            for offset in tracker.in_flight() {
                let note = tracker.notes.entry(offset).or_default();
                note.crashes = note.crashes.saturating_add(1);
            }
        }
        tracker.promise = Promise::Left;
        tracker
    }

    /// Returns the messages that may be in flight under the promise.
    #[must_use]
    pub fn in_flight(&self) -> Vec<i64> {
        match self.promise {
            Promise::Left => Vec::new(),
            Promise::Open { reach } => {
                // Suspects are delivered alone, under a promise of their own.
                let kept_back = |note: &Note| note.waits || note.crashes > 0;
                let open = self.finished.missing(self.base, reach);
                open.filter(|offset| !self.note(*offset).is_some_and(kept_back))
                    .collect()
            }
            Promise::Alone { offset } => vec![offset],
            Promise::Series { start, end } => {
                let suspects = self.suspects();
                suspects.filter(|it| (start..end).contains(it)).collect()
            }
        }
    }

    /// Returns the messages that wait for their next attempt, in their order.
    pub fn delayed(&self, now: SystemTime) -> impl Iterator<Item = i64> + '_ {
        let delayed = move |note: &Note| note.waits && note.due().is_some_and(|due| due > now);
        let notes = self.notes.iter().filter(move |(_, note)| delayed(note));
        notes.map(|(offset, _)| *offset)
    }

    /// Returns the offset to commit: all messages before it are finished.
    #[must_use]
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Returns the offset behind the last message that was read.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Registers that a message was read from the partition, and that there is none between the last one and this one.
    /// Returns true if it is unfinished.
    pub fn read(&mut self, offset: i64) -> bool {
        if offset > self.next {
            // The log has lost them, by its retention or by compaction.
            self.finish_all(self.next, offset);
        }
        self.next = self.next.max(offset + 1);
        self.is_unfinished(offset)
    }

    /// Registers that a message is handled, or is a dead letter. Returns false if it was finished before.
    pub fn finish(&mut self, offset: i64) -> bool {
        let is_new = self.is_unfinished(offset);
        self.finish_all(offset, offset + 1);
        is_new
    }

    /// Registers that an attempt has failed, and that the next one follows after a delay, which is cut to 34 years.
    pub fn fail(&mut self, offset: i64, now: SystemTime, delay: Duration) {
        if !self.is_unfinished(offset) {
            return;
        }
        let now = millis(now);
        let note = self.notes.entry(offset).or_default();
        if note.failures == 0 {
            note.first_failure = now;
        }
        note.failures = note.failures.saturating_add(1);
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        note.due = now.saturating_add(delay.min(LONGEST_DELAY));
        note.waits = true;
    }

    /// Registers that the next attempt at a message begins.
    pub fn start(&mut self, offset: i64) {
        if let Some(note) = self.notes.get_mut(&offset) {
            note.waits = false;
        }
    }

    /// Returns what is known of an unfinished message that has failed or is a suspect.
    #[must_use]
    pub fn note(&self, offset: i64) -> Option<&Note> {
        self.notes.get(&offset)
    }

    /// Returns the unfinished messages that were in flight when a consumer died, in their order. Each is to be delivered alone.
    pub fn suspects(&self) -> impl Iterator<Item = i64> + '_ {
        let suspects = self.notes.iter().filter(|(_, note)| note.crashes > 0);
        suspects.map(|(offset, _)| *offset)
    }

    /// Returns true if the message is one of the [`suspects`](Self::suspects).
    #[must_use]
    pub fn is_suspect(&self, offset: i64) -> bool {
        self.notes.get(&offset).is_some_and(|note| note.crashes > 0)
    }

    /// Promises that only messages below this offset are delivered once this is committed: no suspects, and of those that have
    /// failed only the [started](Self::start) ones.
    pub fn open(&mut self, reach: i64) {
        self.promise = Promise::Open { reach };
    }

    /// Promises that only this suspect is delivered, once this is committed. If many follow it that have crashed once, the promise is
    /// for a series of them.
    pub fn open_suspect(&mut self, offset: i64) {
        let is_in_series = matches!(self.promise, Promise::Series { .. });
        if !is_in_series || !self.is_promised(offset) {
            self.promise = match self.series_from(offset) {
                Some(end) => Promise::Series { start: offset, end },
                None => Promise::Alone { offset },
            };
        }
    }

    fn series_from(&self, offset: i64) -> Option<i64> {
        let suspects = self.notes.range(offset..);
        let suspects = suspects.filter(|(_, note)| note.crashes > 0).take(SERIES);
        let mut once = suspects.take_while(|(_, note)| note.crashes == 1);
        let last = once.nth(SERIES - 1).map(|(offset, _)| *offset);
        last.filter(|_| offset >= self.series_died_below)
            .map(|last| last + 1)
    }

    /// Promises that nothing is in flight.
    pub fn leave(&mut self) {
        self.promise = Promise::Left;
    }

    /// Returns the promise.
    #[must_use]
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// Returns true if this message may be delivered under the promise, once that is committed.
    #[must_use]
    pub fn is_promised(&self, offset: i64) -> bool {
        match self.promise {
            Promise::Left => false,
            Promise::Open { reach } => offset < reach && !self.is_suspect(offset),
            Promise::Alone { offset: alone } => offset == alone,
            Promise::Series { start, end } => {
                (start..end).contains(&offset) && self.is_suspect(offset)
            }
        }
    }

    /// Returns the number of messages beyond [`base`](Self::base) that are finished.
    #[must_use]
    pub fn finished_beyond(&self) -> u64 {
        self.finished.len().unsigned_abs()
    }

    /// Returns the number of messages that are known and not finished.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        let count = self.end() - self.base - self.finished.len();
        usize::try_from(count).unwrap_or_default()
    }

    /// Returns how many more messages may be read or [promised](Self::open) so that the metadata fits into a commit whatever becomes of
    /// them. At 0 the driver must not read on before a message is finished.
    #[must_use]
    pub fn room(&self) -> usize {
        metadata::room(self).unwrap_or_default()
    }

    /// Returns true if the metadata fits into a commit, whatever becomes of the unfinished messages.
    #[must_use]
    pub fn fits(&self) -> bool {
        metadata::room(self).is_some()
    }

    /// Returns true if the next message that is read is known already. It needs no [`room`](Self::room).
    #[must_use]
    pub fn knows_next(&self) -> bool {
        self.next < self.end()
    }

    /// Returns the metadata of a commit at [`base`](Self::base), of at most [`LARGEST_METADATA`] bytes. If more messages have failed than
    /// fit, the last ones are left out: the next owner does not know their attempts. `None` if the finished messages do not fit,
    /// which [`room`](Self::room) prevents; nothing may be committed then.
    #[must_use]
    pub fn metadata(&self) -> Option<String> {
        metadata::write(self)
    }

    /// Returns true if the message is neither finished nor before [`base`](Self::base).
    #[must_use]
    pub fn is_unfinished(&self, offset: i64) -> bool {
        offset >= self.base && !self.finished.contains(offset)
    }

    fn finish_all(&mut self, start: i64, end: i64) {
        self.finished.insert(start.max(self.base), end);
        if !self.notes.is_empty() {
            let mut gone = self.notes.split_off(&start);
            self.notes.append(&mut gone.split_off(&end));
        }
        if let Some(end) = self.finished.take_from(self.base) {
            self.base = end;
            self.next = self.next.max(end);
        }
        if let Promise::Alone { offset } = self.promise
            && !self.is_unfinished(offset)
        {
            self.promise = Promise::Left;
        }
    }

    /// Returns the offset behind everything that is known.
    fn end(&self) -> i64 {
        let noted = self.notes.last_key_value().map(|(offset, _)| offset + 1);
        let known = [Some(self.next), self.finished.end(), noted];
        known.into_iter().flatten().max().unwrap_or(self.base)
    }
}

fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
