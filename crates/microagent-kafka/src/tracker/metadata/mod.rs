//! The metadata of a commit: `v2:` and base64 of a checksum and of variable-length numbers.
//!
//! The numbers are the promise, the end of the series in which a process died, the finished messages, the runs of suspects with equal counts, and the failed messages. Suspects and
//! failed messages are counted in unfinished messages, so that a finished one between two of them costs nothing. The checksum includes the offset of
//! the commit: metadata that a tool has copied to another offset is not read.

mod finished;
mod numbers;
mod v1;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};

use self::numbers::{Reader, distance, size_of_number, unzigzag, write_number, zigzag};
use super::{Note, Promise, Tracker};

/// The largest metadata of a commit, in bytes. It is the default of the server's `offset.metadata.max.bytes`.
pub const LARGEST_METADATA: usize = 4096;

const VERSION: &str = "v2:";

/// The most bytes before base64.
const LARGEST: usize = (LARGEST_METADATA - VERSION.len()) / 4 * 3;

/// The checksum, the promise (1, 10 and 3), the end of a series, the counts of suspects and of failed messages (2 each), and the base of all times.
const FIXED: usize = 4 + 14 + 10 + 4 + 10;

/// The most messages that may be unfinished. It limits what is believed of a text, too.
const MOST_UNFINISHED: u64 = 8192;

/// The most bytes of a run of suspects: two distances, and 1 byte of count.
const SUSPECTS: usize = 2 * 2 + 1;

/// The most bytes of a failed message: a distance, 3 bytes of count, 6 and 7 of times.
const FAILURE: usize = 2 + 3 + 6 + 7;

/// Returns how many messages may become known behind those that are, so that everything fits that has to be written, whatever
/// becomes of them, with the failure of another one. `None` if not even the known ones fit.
pub(super) fn room(tracker: &Tracker) -> Option<usize> {
    let failed = failed(&tracker.notes).count();
    // A death makes suspects of the messages between those that wait for a retry.
    let suspects: usize = suspects(tracker).iter().map(Suspects::size).sum();
    let suspects = suspects + (failed + 2) * SUSPECTS;
    let failures = size_of_failures(tracker) + FAILURE;
    let bytes = LARGEST.checked_sub(FIXED + suspects + failures)?;
    let (base, end) = (tracker.base, tracker.end());
    let known = tracker.unfinished() as u64;
    let most = MOST_UNFINISHED.checked_sub(known)?;
    let room = finished::room(base, end, &tracker.finished, bytes)?;
    usize::try_from(room.min(most)).ok()
}

/// Returns the metadata of a tracker, if it is not too long. Failed messages that do not fit are left out, the last ones first.
pub(super) fn write(tracker: &Tracker) -> Option<String> {
    let mut body = Vec::with_capacity(LARGEST);
    write_promise(&mut body, tracker);
    write_number(&mut body, distance(tracker.base, tracker.series_died_below));
    finished::write(&mut body, tracker.base, &tracker.finished);
    let left = |body: &Vec<u8>| (LARGEST - size_of::<u32>()).checked_sub(body.len());
    // No failure needs a byte, too.
    let suspects = joined(suspects(tracker), left(&body)?.checked_sub(1)?);
    write_suspects(&mut body, &suspects);
    let bytes = left(&body)?;
    write_failures(&mut body, tracker, bytes)?;
    let mut bytes = checksum(tracker.base, &body).to_be_bytes().to_vec();
    bytes.append(&mut body);
    Some(format!("{VERSION}{}", BASE64.encode(&bytes)))
}

/// Returns the tracker that wrote this text, or that an earlier version of the driver wrote, for a commit at `base`.
pub(super) fn read(base: i64, text: &str) -> Option<Tracker> {
    if text.len() > LARGEST_METADATA {
        return None;
    }
    let (body, is_v1) = match text.strip_prefix(VERSION) {
        Some(body) => (body, false),
        None => (text.strip_prefix(v1::VERSION)?, true),
    };
    let bytes = BASE64.decode(body).ok()?;
    let (sum, body) = bytes.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*sum) != checksum(base, body) {
        return None;
    }
    let (mut reader, mut tracker) = (Reader(body), Tracker::new(base));
    tracker.promise = read_promise(&mut reader, base)?;
    if is_v1 {
        v1::read(&mut reader, &mut tracker)?;
    } else {
        tracker.series_died_below = reader.offset(base)?;
        tracker.finished = finished::read(&mut reader, base)?;
        read_suspects(&mut reader, &mut tracker)?;
        read_failures(&mut reader, &mut tracker)?;
    }
    let is_whole = reader.0.is_empty() && is_consistent(&tracker);
    is_whole.then_some(tracker)
}

/// Notes are for unfinished messages, and a window is not larger than one that is written.
fn is_consistent(tracker: &Tracker) -> bool {
    let noted_are_open = tracker
        .notes
        .keys()
        .all(|offset| !tracker.finished.contains(*offset));
    let reach = match tracker.promise {
        Promise::Left => tracker.base,
        Promise::Open { reach } => reach,
        Promise::Alone { offset } => offset.saturating_add(1),
        Promise::Series { end, .. } => end,
    };
    let end = tracker.end().max(reach);
    let unfinished = distance(tracker.base, end).saturating_sub(tracker.finished_beyond());
    noted_are_open && !tracker.finished.contains(tracker.base) && unfinished <= MOST_UNFINISHED
}

fn write_promise(body: &mut Vec<u8>, tracker: &Tracker) {
    let (kind, offset) = match tracker.promise {
        Promise::Left => return body.push(0),
        Promise::Open { reach } => (1, reach),
        Promise::Alone { offset } => (2, offset),
        Promise::Series { start, .. } => (3, start.max(tracker.base)),
    };
    body.push(kind);
    // A finished message may lie behind the reach.
    write_number(body, distance(tracker.base, offset));
    if let Promise::Series { end, .. } = tracker.promise {
        write_number(body, distance(offset, end));
    }
}

fn read_promise(reader: &mut Reader<'_>, base: i64) -> Option<Promise> {
    match reader.byte()? {
        0 => Some(Promise::Left),
        1 => reader.offset(base).map(|reach| Promise::Open { reach }),
        2 => reader.offset(base).map(|offset| Promise::Alone { offset }),
        3 => {
            let start = reader.offset(base)?;
            reader
                .offset(start)
                .map(|end| Promise::Series { start, end })
        }
        _ => None,
    }
}

/// Unfinished messages with equal counts, one after the other.
struct Suspects {
    /// The number of unfinished messages before them.
    rank: u64,
    count: u64,
    crashes: u32,
}

impl Suspects {
    /// Returns the most bytes that it needs.
    fn size(&self) -> usize {
        let numbers = [self.rank, self.count, self.crashes.into()];
        numbers.into_iter().map(size_of_number).sum()
    }
}

/// Returns each message with a note, and how many unfinished messages are before it.
fn ranked(tracker: &Tracker) -> impl Iterator<Item = (u64, &Note)> {
    let mut runs = tracker.finished.iter().peekable();
    let mut finished = 0;
    tracker.notes.iter().map(move |(offset, note)| {
        while let Some((start, end)) = runs.next_if(|(start, _)| start < offset) {
            finished += distance(start, end);
        }
        (distance(tracker.base, *offset) - finished, note)
    })
}

fn suspects(tracker: &Tracker) -> Vec<Suspects> {
    let mut all: Vec<Suspects> = Vec::new();
    for (rank, note) in ranked(tracker).filter(|(_, note)| note.crashes > 0) {
        match all.last_mut() {
            Some(last) if last.rank + last.count == rank && last.crashes == note.crashes => {
                last.count += 1;
            }
            _ => all.push(Suspects {
                rank,
                count: 1,
                crashes: note.crashes,
            }),
        }
    }
    all
}

/// Joins the last runs until the rest fits into so many bytes. Messages between two runs become suspects, and the lowest count is that of all.
fn joined(mut runs: Vec<Suspects>, bytes: usize) -> Vec<Suspects> {
    let mut size = 2 + runs.iter().map(Suspects::size).sum::<usize>();
    while size > bytes
        && let Some(last) = runs.pop()
        && let Some(before) = runs.last_mut()
    {
        size -= last.size() + before.size();
        before.count = last.rank + last.count - before.rank;
        before.crashes = before.crashes.min(last.crashes);
        size += before.size();
    }
    runs
}

fn write_suspects(body: &mut Vec<u8>, suspects: &[Suspects]) {
    write_number(body, suspects.len() as u64);
    let mut from = 0;
    for Suspects {
        rank,
        count,
        crashes,
    } in suspects
    {
        write_number(body, rank - from);
        write_number(body, *count);
        write_number(body, (*crashes).into());
        from = rank + count;
    }
}

fn read_suspects(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let runs = reader.number()?;
    let mut open = tracker.finished.missing(tracker.base, i64::MAX);
    let mut known = 0_u64;
    for _ in 0..runs {
        let (skipped, count) = (reader.number()?, reader.number()?);
        let crashes = reader.count()?;
        known = known.checked_add(skipped)?.checked_add(count)?;
        if count == 0 || known > MOST_UNFINISHED {
            return None;
        }
        let of_run = open.by_ref().skip(skipped as usize).take(count as usize);
        for offset in of_run {
            tracker.notes.entry(offset).or_default().crashes = crashes;
        }
    }
    Some(())
}

fn failed(notes: &BTreeMap<i64, Note>) -> impl Iterator<Item = &Note> {
    notes.values().filter(|note| note.failures > 0)
}

/// Returns the time from which the times of failures are counted.
fn oldest(tracker: &Tracker) -> u64 {
    let times = failed(&tracker.notes).map(|note| note.first_failure);
    times.min().unwrap_or_default()
}

/// Returns the numbers of each failed message.
fn failures(tracker: &Tracker) -> impl Iterator<Item = [u64; 4]> {
    let (oldest, mut from) = (oldest(tracker), 0);
    let failed = ranked(tracker).filter(|(_, note)| note.failures > 0);
    failed.map(move |(rank, note)| {
        let skipped = rank - std::mem::replace(&mut from, rank);
        [
            skipped,
            u64::from(note.failures) << 1 | u64::from(note.waits),
            note.first_failure - oldest,
            zigzag(note.due.wrapping_sub(note.first_failure)),
        ]
    })
}

fn size_of_failure(failure: [u64; 4]) -> usize {
    failure.into_iter().map(size_of_number).sum()
}

fn size_of_failures(tracker: &Tracker) -> usize {
    failures(tracker).map(size_of_failure).sum()
}

/// Writes the first ones of the failed messages, as many as fit into so many bytes.
fn write_failures(body: &mut Vec<u8>, tracker: &Tracker, bytes: usize) -> Option<()> {
    let oldest = oldest(tracker);
    let counts = 2 + size_of_number(oldest);
    let mut left = bytes.saturating_sub(counts);
    let mut fitting = Vec::new();
    for failure in failures(tracker) {
        let Some(rest) = left.checked_sub(size_of_failure(failure)) else {
            break;
        };
        left = rest;
        fitting.push(failure);
    }
    if fitting.is_empty() {
        body.push(0);
        return (bytes > 0).then_some(());
    }
    write_number(body, fitting.len() as u64);
    write_number(body, oldest);
    for number in fitting.into_iter().flatten() {
        write_number(body, number);
    }
    Some(())
}

fn read_failures(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let mut open = tracker.finished.missing(tracker.base, i64::MAX).peekable();
    let mut known = 0_u64;
    read_each_failure(reader, &mut tracker.notes, |skipped| {
        known = known.checked_add(skipped)?;
        if known > MOST_UNFINISHED {
            return None;
        }
        for _ in 0..skipped {
            open.next();
        }
        open.peek().copied()
    })
}

/// Reads the failed messages. `behind` returns the offset that lies so far behind the one before.
fn read_each_failure(
    reader: &mut Reader<'_>,
    notes: &mut BTreeMap<i64, Note>,
    mut behind: impl FnMut(u64) -> Option<i64>,
) -> Option<()> {
    let count = reader.number()?;
    if count == 0 {
        return Some(());
    }
    let oldest = reader.number()?;
    for _ in 0..count {
        let offset = behind(reader.number()?)?;
        read_failure(reader, oldest, notes.entry(offset).or_default())?;
    }
    Some(())
}

/// Reads the count and the times of one failed message.
fn read_failure(reader: &mut Reader<'_>, oldest: u64, note: &mut Note) -> Option<()> {
    let (count, waits) = reader
        .number()
        .map(|number| (number >> 1, number & 1 == 1))?;
    note.failures = u32::try_from(count).ok().filter(|count| *count > 0)?;
    note.first_failure = oldest.checked_add(reader.number()?)?;
    note.due = note.first_failure.wrapping_add(unzigzag(reader.number()?));
    note.waits = waits;
    Some(())
}

/// The checksum FNV-1a of 32 bits.
fn checksum(base: i64, body: &[u8]) -> u32 {
    let base = base.to_be_bytes();
    let bytes = base.iter().chain(body);
    bytes.fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
