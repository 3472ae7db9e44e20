//! The metadata of the first version of the driver, for a group whose processes are replaced one by one. It had only runs of finished messages,
//! and counted all offsets.

use super::{MOST_UNFINISHED, Reader, distance, read_failure};
use crate::tracker::Tracker;

pub(super) const VERSION: &str = "v1:";

/// Reads what is behind the promise.
pub(super) fn read(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    read_finished(reader, tracker)?;
    read_suspects(reader, tracker)?;
    read_failures(reader, tracker)
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

fn read_suspects(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    let mut from = tracker.base;
    for _ in 0..reader.number()? {
        let start = reader.offset(from)?;
        let end = reader.offset(start)?;
        let crashes = reader.count()?;
        let unfinished = distance(tracker.base, end).saturating_sub(tracker.finished_beyond());
        if unfinished > MOST_UNFINISHED || end == start {
            return None;
        }
        for offset in start..end {
            tracker.notes.entry(offset).or_default().crashes = crashes;
        }
        from = end;
    }
    Some(())
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
        let note = tracker.notes.entry(offset).or_default();
        read_failure(reader, oldest, note)?;
        from = offset;
    }
    Some(())
}
