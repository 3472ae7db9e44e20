//! The metadata of a commit: `v1:` and base64 of a checksum and of variable-length numbers.
//!
//! The numbers are the promise, the runs of finished messages, the runs of suspects with equal counts, and the failed
//! messages. Offsets are distances, from the offset of the commit on. The checksum includes that offset: metadata that
//! a tool has copied to another offset is not read.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};

use super::{Note, Promise, Tracker};

/// The largest metadata of a commit, in bytes. It is the default of the server's `offset.metadata.max.bytes`.
pub const LARGEST_METADATA: usize = 4096;

const VERSION: &str = "v1:";

/// The most bytes before base64.
const LARGEST: usize = (LARGEST_METADATA - VERSION.len()) / 4 * 3;

/// The checksum, the promise (1 + 10), three counts of entries (3 each), and the base of all times.
const FIXED: usize = 4 + 11 + 9 + 10;

/// The most messages that may be unfinished. It limits what is believed of a text, too.
const MOST_UNFINISHED: i64 = 4096;

/// Returns how many messages may be unfinished in a window of this many offsets, so that the metadata fits.
///
/// The largest share of one message is: a run of finished ones beside it (two distances), its failures (a distance, 3 bytes of
/// count, 6 and 7 of times) and its crashes (two distances, 2 bytes of count). A distance has 2 bytes. Longer ones are few, as
/// the distances of a list add up to the window: each 2^14 offsets make at most one byte more in each of three lists.
pub(super) fn most_unfinished(span: i64) -> usize {
    let span = usize::try_from(span).unwrap_or_default();
    let longer = (LARGEST - FIXED).saturating_sub(3 * (span >> 14)) / (5 * 2 + 18);
    let largest = (LARGEST - FIXED) / (5 * size_of_number(span as u64) + 18);
    if span < 1 << 14 {
        longer
    } else {
        longer.max(largest)
    }
}

/// Returns the metadata of a tracker, if it is not too long.
pub(super) fn write(tracker: &Tracker) -> Option<String> {
    let mut body = Vec::new();
    write_promise(&mut body, tracker);
    write_finished(&mut body, tracker);
    write_suspects(&mut body, tracker);
    write_failures(&mut body, tracker);
    let mut bytes = checksum(tracker.base, &body).to_be_bytes().to_vec();
    bytes.append(&mut body);
    (bytes.len() <= LARGEST).then(|| format!("{VERSION}{}", BASE64.encode(&bytes)))
}

/// Returns the tracker that wrote this text for a commit at `base`.
pub(super) fn read(base: i64, text: &str) -> Option<Tracker> {
    if text.len() > LARGEST_METADATA {
        return None;
    }
    let bytes = BASE64.decode(text.strip_prefix(VERSION)?).ok()?;
    let (sum, body) = bytes.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*sum) != checksum(base, body) {
        return None;
    }
    let mut reader = Reader(body);
    let mut tracker = Tracker::new(base);
    tracker.promise = read_promise(&mut reader, base)?;
    read_finished(&mut reader, &mut tracker)?;
    read_suspects(&mut reader, &mut tracker)?;
    read_failures(&mut reader, &mut tracker)?;
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
    };
    let end = tracker.end().max(reach);
    let unfinished = (end - tracker.base).saturating_sub(tracker.finished.len());
    noted_are_open && !tracker.finished.contains(tracker.base) && unfinished <= MOST_UNFINISHED
}

fn write_promise(body: &mut Vec<u8>, tracker: &Tracker) {
    let (kind, offset) = match tracker.promise {
        Promise::Left => return body.push(0),
        Promise::Open { reach } => (1, reach),
        Promise::Alone { offset } => (2, offset),
    };
    body.push(kind);
    // A finished message may lie behind the reach.
    write_number(body, distance(tracker.base, offset));
}

fn read_promise(reader: &mut Reader<'_>, base: i64) -> Option<Promise> {
    match reader.byte()? {
        0 => Some(Promise::Left),
        1 => reader.offset(base).map(|reach| Promise::Open { reach }),
        2 => reader.offset(base).map(|offset| Promise::Alone { offset }),
        _ => None,
    }
}

fn write_finished(body: &mut Vec<u8>, tracker: &Tracker) {
    let runs = tracker.finished.iter();
    write_number(body, runs.len() as u64);
    let mut from = tracker.base;
    for (start, end) in runs {
        write_number(body, distance(from, start));
        write_number(body, distance(start, end));
        from = end;
    }
}

fn read_finished(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let mut from = tracker.base;
    for _ in 0..reader.number()? {
        let start = reader.offset(from)?;
        let end = reader.offset(start)?;
        tracker.finished.insert(start, end);
        from = end;
    }
    Some(())
}

fn write_suspects(body: &mut Vec<u8>, tracker: &Tracker) {
    let mut runs: Vec<(i64, i64, u32)> = Vec::new();
    for (offset, note) in tracker.notes.iter().filter(|(_, note)| note.crashes > 0) {
        match runs.last_mut() {
            Some((_, end, crashes)) if *end == *offset && *crashes == note.crashes => *end += 1,
            _ => runs.push((*offset, offset + 1, note.crashes)),
        }
    }
    write_number(body, runs.len() as u64);
    let mut from = tracker.base;
    for (start, end, crashes) in runs {
        write_number(body, distance(from, start));
        write_number(body, distance(start, end));
        write_number(body, crashes.into());
        from = end;
    }
}

fn read_suspects(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let mut from = tracker.base;
    for _ in 0..reader.number()? {
        let start = reader.offset(from)?;
        let end = reader.offset(start)?;
        let crashes = u32::try_from(reader.number()?)
            .ok()
            .filter(|count| *count > 0)?;
        if end - tracker.base - tracker.finished.len() > MOST_UNFINISHED || end == start {
            return None;
        }
        for offset in start..end {
            tracker.notes.entry(offset).or_default().crashes = crashes;
        }
        from = end;
    }
    Some(())
}

fn failed(notes: &BTreeMap<i64, Note>) -> impl Iterator<Item = (i64, &Note)> {
    let failed = notes.iter().filter(|(_, note)| note.failures > 0);
    failed.map(|(offset, note)| (*offset, note))
}

fn write_failures(body: &mut Vec<u8>, tracker: &Tracker) {
    write_number(body, failed(&tracker.notes).count() as u64);
    let Some(oldest) = failed(&tracker.notes)
        .map(|(_, note)| note.first_failure)
        .min()
    else {
        return;
    };
    write_number(body, oldest);
    let mut from = tracker.base;
    for (offset, note) in failed(&tracker.notes) {
        write_number(body, distance(from, offset));
        write_number(body, u64::from(note.failures) << 1 | u64::from(note.waits));
        write_number(body, note.first_failure - oldest);
        write_number(body, zigzag(note.due.wrapping_sub(note.first_failure)));
        from = offset;
    }
}

fn read_failures(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let count = reader.number()?;
    if count == 0 {
        return Some(());
    }
    let oldest = reader.number()?;
    let mut from = tracker.base;
    for _ in 0..count {
        let offset = reader.offset(from)?;
        let (count, waits) = reader
            .number()
            .map(|number| (number >> 1, number & 1 == 1))?;
        let failures = u32::try_from(count).ok().filter(|count| *count > 0)?;
        let first_failure = oldest.checked_add(reader.number()?)?;
        let due = first_failure.wrapping_add(unzigzag(reader.number()?));
        let note = tracker.notes.entry(offset).or_default();
        (note.failures, note.first_failure, note.due) = (failures, first_failure, due);
        note.waits = waits;
        from = offset;
    }
    Some(())
}

/// Returns the difference of two times as a number that is small if the difference is, in either direction: a clock may be set back.
fn zigzag(difference: u64) -> u64 {
    let sign = 0_u64.wrapping_sub(difference >> 63);
    difference << 1 ^ sign
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ 0_u64.wrapping_sub(number & 1)
}

fn distance(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or_default()
}

/// The checksum FNV-1a of 32 bits.
fn checksum(base: i64, body: &[u8]) -> u32 {
    let base = base.to_be_bytes();
    let bytes = base.iter().chain(body);
    bytes.fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Writes seven bits a byte, the lowest first; the highest bit says that more follow.
fn write_number(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        body.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}

fn size_of_number(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits {
                return None;
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a distance and returns the offset that lies so far behind `from`.
    fn offset(&mut self, from: i64) -> Option<i64> {
        let distance = i64::try_from(self.number()?).ok()?;
        from.checked_add(distance)
    }
}
