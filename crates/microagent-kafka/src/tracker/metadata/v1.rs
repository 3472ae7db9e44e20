//! The metadata of the first version of the driver, for a group whose processes are replaced one by one. It had only runs of finished messages,
//! and counted all offsets.

use super::{MOST_UNFINISHED, Reader, distance, finished, read_each_failure};
use crate::tracker::Tracker;

pub(super) const VERSION: &str = "v1:";

/// Reads what is behind the promise.
pub(super) fn read(reader: &mut Reader<'_>, tracker: &mut Tracker) -> Option<()> {
    (tracker.finished, _) = finished::read_runs(reader, tracker.base)?;
    read_suspects(reader, tracker)?;
    read_failures(reader, tracker)
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
    let mut from = tracker.base;
    read_each_failure(reader, &mut tracker.notes, |distance| {
        from = from.checked_add(i64::try_from(distance).ok()?)?;
        Some(from)
    })
}
