//! The finished messages beyond the base: runs for the first ones, and a bitmap for those behind.
//!
//! Old messages that are not finished lie far apart, and a run costs a few bytes. The latest ones end in any order, and a bitmap costs an
//! eighth of a byte for each.

use super::numbers::{Reader, distance, size_of_number, write_number};
use crate::tracker::runs::Runs;

/// The counts of runs and of bytes of the bitmap, and one more byte of a run that grows.
const COUNTS: usize = 7;

pub(super) fn write(body: &mut Vec<u8>, base: i64, finished: &Runs) {
    let (split, from) = shortest(base, finished);
    write_number(body, split as u64);
    let mut end_before = base;
    for (start, end) in finished.iter().take(split) {
        write_number(body, distance(end_before, start));
        write_number(body, distance(start, end));
        end_before = end;
    }
    let mut bitmap = vec![0_u8; bitmap_size(from, finished)];
    for (start, end) in finished.iter().skip(split) {
        for bit in distance(from, start)..distance(from, end) {
            if let Some(byte) = bitmap.get_mut((bit / 8) as usize) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    write_number(body, bitmap.len() as u64);
    body.append(&mut bitmap);
}

/// Returns how many runs are written as such so that the text is shortest, and where the bitmap begins.
fn shortest(base: i64, finished: &Runs) -> (usize, i64) {
    let (mut before, mut from) = (0, base);
    let mut best = (bitmap_size(base, finished), 0, base);
    for (number, (start, end)) in finished.iter().enumerate() {
        before += size_of_number(distance(from, start)) + size_of_number(distance(start, end));
        from = end;
        best = best.min((before + bitmap_size(end, finished), number + 1, end));
    }
    (best.1, best.2)
}

fn bitmap_size(from: i64, finished: &Runs) -> usize {
    let bits = finished.end().map_or(0, |end| distance(from, end));
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX / 2)
}

/// Reads runs, and returns where the last one ends.
pub(super) fn read_runs(reader: &mut Reader<'_>, base: i64) -> Option<(Runs, i64)> {
    let (mut finished, mut from) = (Runs::default(), base);
    for _ in 0..reader.number()? {
        let start = reader.offset(from)?;
        let end = reader.offset(start)?;
        finished.insert(start, end);
        from = end;
    }
    Some((finished, from))
}

pub(super) fn read(reader: &mut Reader<'_>, base: i64) -> Option<Runs> {
    let (mut finished, from) = read_runs(reader, base)?;
    let count = reader.number()?;
    let bitmap = reader.bytes(count)?;
    let bits = i64::try_from(bitmap.len()).ok()? * 8;
    from.checked_add(bits)?;
    let mut offset = from;
    for byte in bitmap {
        for bit in 0..8 {
            if byte >> bit & 1 == 1 {
                finished.insert(offset, offset + 1);
            }
            offset += 1;
        }
    }
    Some(finished)
}

/// Returns how many messages may become known behind `end` so that the finished ones fit into this many bytes, whichever of the known
/// ones are finished. `None` if not even the known ones fit.
///
/// Wherever the bitmap begins, it costs the same whatever becomes of the messages in it. Before it, a gap between runs costs at most a byte
/// for each of its messages, as when each second one is finished.
pub(super) fn room(base: i64, end: i64, finished: &Runs, bytes: usize) -> Option<u64> {
    let run = size_of_number(distance(base, end));
    let room = |from: i64, before: usize| {
        let bits = (bytes.checked_sub(before)? as u64).checked_mul(8)?;
        bits.checked_sub(distance(from, end))
    };
    let (mut before, mut from) = (COUNTS, base);
    let mut best = room(from, before);
    for (start, end) in finished.iter() {
        let gap = distance(from, start);
        let pieces = usize::try_from(gap).unwrap_or(bytes);
        before = before.saturating_add(pieces.max(size_of_number(gap)) + run);
        if before > bytes {
            break;
        }
        from = end;
        best = best.max(room(from, before));
    }
    best
}
