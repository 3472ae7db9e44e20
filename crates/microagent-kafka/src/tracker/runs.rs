//! A set of offsets, kept as runs.

use std::collections::BTreeMap;

/// A set of offsets. Its size in memory is the number of its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// The end of each run, by its start. No two runs touch.
    ends: BTreeMap<i64, i64>,
    total: i64,
}

impl Runs {
    pub(super) fn contains(&self, offset: i64) -> bool {
        self.run_at(offset).is_some()
    }

    /// Adds the offsets from `start` to before `end`.
    pub(super) fn insert(&mut self, start: i64, end: i64) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start, end);
        // The runs that it touches become one with it.
        while let Some((&first, &last)) = self.ends.range(..=end).next_back() {
            if last < start {
                break;
            }
            self.ends.remove(&first);
            self.total -= last - first;
            start = start.min(first);
            end = end.max(last);
        }
        self.ends.insert(start, end);
        self.total += end - start;
    }

    /// Removes the run that begins at `offset` or before, if it contains `offset`, and returns its end.
    pub(super) fn take_from(&mut self, offset: i64) -> Option<i64> {
        let (start, end) = self.run_at(offset)?;
        self.ends.remove(&start);
        self.total -= end - start;
        Some(end)
    }

    /// Returns the number of offsets.
    pub(super) fn len(&self) -> i64 {
        self.total
    }

    /// Returns the end of the last run.
    pub(super) fn end(&self) -> Option<i64> {
        self.ends.last_key_value().map(|(_, end)| *end)
    }

    /// Returns the runs in their order, as start and end.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (i64, i64)> + '_ {
        self.ends.iter().map(|(start, end)| (*start, *end))
    }

    /// Returns the offsets from `start` to before `end` that are not in the set.
    pub(super) fn missing(&self, start: i64, end: i64) -> impl Iterator<Item = i64> + '_ {
        let first = self.run_at(start).map_or(start, |(_, end)| end);
        let behind = self
            .ends
            .range(first..end.max(first))
            .map(|(start, end)| (*start, *end));
        let gaps = behind.chain([(end, end)]).scan(first, |from, run| {
            let gap = *from..run.0;
            *from = run.1;
            Some(gap)
        });
        gaps.flat_map(move |gap| gap.start..gap.end.min(end))
    }

    fn run_at(&self, offset: i64) -> Option<(i64, i64)> {
        let (start, end) = self.ends.range(..=offset).next_back()?;
        (offset < *end).then_some((*start, *end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_touch_become_one() {
        let mut runs = Runs::default();
        for (start, end) in [(5, 7), (9, 10), (20, 20), (7, 9), (1, 2), (3, 4)] {
            runs.insert(start, end);
        }
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(1, 2), (3, 4), (5, 10)]);
        assert_eq!((runs.len(), runs.end()), (7, Some(10)));
        runs.insert(0, 6);
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(0, 10)]);
        assert_eq!(runs.len(), 10);
    }

    #[test]
    fn a_run_is_taken_by_any_of_its_offsets() {
        let mut runs = Runs::default();
        runs.insert(5, 9);
        assert_eq!(runs.take_from(9), None);
        assert_eq!(runs.take_from(4), None);
        assert_eq!(runs.take_from(6), Some(9));
        assert_eq!((runs.len(), runs.end()), (0, None));
    }

    #[test]
    fn missing_offsets_are_those_between_the_runs() {
        let mut runs = Runs::default();
        runs.insert(2, 4);
        runs.insert(6, 7);
        assert_eq!(runs.missing(1, 8).collect::<Vec<_>>(), [1, 4, 5, 7]);
        assert_eq!(runs.missing(3, 6).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(runs.missing(4, 5).collect::<Vec<_>>(), [4]);
        assert_eq!(runs.missing(2, 4).count(), 0);
        assert_eq!(runs.missing(9, 3).count(), 0);
    }
}
