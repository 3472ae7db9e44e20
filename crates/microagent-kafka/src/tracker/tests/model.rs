//! A naive model of the tracker: one value for each offset.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::super::{LARGEST_METADATA, Note, Promise, Tracker};

/// A message, as the model keeps it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Unfinished(Note),
    Finished,
}

/// One value for each offset from the first one on.
#[derive(Clone, Debug)]
struct Model {
    first: i64,
    fates: Vec<Fate>,
    next: usize,
    promise: Promise,
}

impl Model {
    fn new(first: i64, length: usize) -> Self {
        Self {
            first,
            fates: vec![Fate::Unfinished(Note::default()); length],
            next: 0,
            promise: Promise::Left,
        }
    }

    fn base(&self) -> usize {
        let unfinished = |fate: &Fate| *fate != Fate::Finished;
        self.fates
            .iter()
            .position(unfinished)
            .unwrap_or(self.fates.len())
    }

    fn next(&self) -> usize {
        self.next.max(self.base())
    }

    fn offset(&self, index: usize) -> i64 {
        self.first + i64::try_from(index).unwrap()
    }

    fn note(&mut self, index: usize) -> Option<&mut Note> {
        match &mut self.fates[index] {
            Fate::Unfinished(note) => Some(note),
            Fate::Finished => None,
        }
    }

    fn read(&mut self, index: usize) {
        for lost in self.next()..index {
            self.finish(lost);
        }
        self.next = self.next.max(index + 1);
    }

    fn finish(&mut self, index: usize) {
        self.fates[index] = Fate::Finished;
        if self.promise
            == (Promise::Alone {
                offset: self.offset(index),
            })
        {
            self.promise = Promise::Left;
        }
    }

    fn fail(&mut self, index: usize, now: u64, delay: u64) {
        if let Some(note) = self.note(index) {
            if note.failures == 0 {
                note.first_failure = now;
            }
            note.failures += 1;
            note.due = now + delay;
            note.waits = true;
        }
    }

    fn die(&mut self) {
        let promise = std::mem::take(&mut self.promise);
        self.next = 0;
        for index in 0..self.fates.len() {
            let offset = self.offset(index);
            if let Some(note) = self.note(index) {
                note.crashes += u32::from(match promise {
                    Promise::Left => false,
                    Promise::Open { reach } => offset < reach && note.crashes == 0 && !note.waits,
                    Promise::Alone { offset: alone } => offset == alone,
                    Promise::Series { .. } => false,
                });
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Read { skipped: usize },
    Finish(prop::sample::Index),
    Fail(prop::sample::Index, u64, u64),
    Start(prop::sample::Index),
    Open,
    Alone(prop::sample::Index),
    Leave,
    Commit,
    Die,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => Just(Step::Read { skipped: 0 }),
        1 => (0_usize..4).prop_map(|skipped| Step::Read { skipped }),
        6 => index().prop_map(Step::Finish),
        3 => (index(), 1_700_000_000_000_u64..1_800_000_000_000, 0_u64..1 << 40)
            .prop_map(|(index, now, delay)| Step::Fail(index, now, delay)),
        2 => index().prop_map(Step::Start),
        2 => Just(Step::Open),
        1 => index().prop_map(Step::Alone),
        1 => Just(Step::Leave),
        2 => Just(Step::Commit),
        1 => Just(Step::Die),
    ]
}

const LENGTH: usize = 200;

/// A tracker beside its model, and what both were at the last commit.
pub(super) struct Pair {
    pub(super) tracker: Tracker,
    model: Model,
    committed: (i64, String, Model),
}

impl Pair {
    pub(super) fn new(first: i64) -> Self {
        let (tracker, model) = (Tracker::new(first), Model::new(first, LENGTH));
        let text = tracker.metadata().unwrap();
        let committed = (first, text, model.clone());
        Self {
            tracker,
            model,
            committed,
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let read = self.model.next();
        match step {
            Step::Read { skipped } => {
                let index = read + skipped;
                if index < LENGTH && self.tracker.room() > 0 {
                    self.model.read(index);
                    let is_open = self.tracker.read(self.model.offset(index));
                    assert_eq!(is_open, self.model.note(index).is_some());
                }
            }
            Step::Finish(index) | Step::Fail(index, ..) | Step::Start(index) => {
                if read > 0 {
                    self.take_at(index.index(read), step);
                }
            }
            Step::Open => {
                self.tracker.open(self.tracker.next());
                let reach = self.model.offset(read);
                self.model.promise = Promise::Open { reach };
            }
            Step::Alone(index) => {
                let suspects: Vec<_> = self.tracker.suspects().collect();
                if !suspects.is_empty() {
                    let offset = suspects[index.index(suspects.len())];
                    self.tracker.open_suspect(offset);
                    // Which suspects share a promise is up to the tracker, if it keeps this one.
                    assert!(self.tracker.is_promised(offset));
                    self.model.promise = self.tracker.promise();
                }
            }
            Step::Leave => {
                self.tracker.leave();
                self.model.promise = Promise::Left;
            }
            Step::Commit => {
                let text = self.tracker.metadata().expect("room() left place for it");
                self.committed = (self.tracker.base(), text, self.model.clone());
            }
            Step::Die => {
                let (base, text, model) = self.committed.clone();
                self.tracker = Tracker::restored(base, &text);
                self.model = model;
                self.forget_failures_that_are_not_in(base, &text);
                self.model.die();
            }
        }
    }

    /// Takes a step of one message.
    fn take_at(&mut self, index: usize, step: &Step) {
        let offset = self.model.offset(index);
        match step {
            Step::Fail(_, now, delay) => {
                let at = UNIX_EPOCH + Duration::from_millis(*now);
                self.tracker.fail(offset, at, Duration::from_millis(*delay));
                self.model.fail(index, *now, *delay);
            }
            Step::Start(_) => {
                self.tracker.start(offset);
                if let Some(note) = self.model.note(index) {
                    note.waits = false;
                }
            }
            _ => {
                let is_new = self.tracker.finish(offset);
                assert_eq!(is_new, self.model.note(index).is_some());
                self.model.finish(index);
            }
        }
    }

    /// Lets the model forget the last failed messages, if their notes are not in the metadata because they do not fit.
    pub(super) fn forget_failures_that_are_not_in(&mut self, base: i64, text: &str) {
        let written = Tracker::committed(base, text);
        let failed =
            |tracker: &Tracker, offset| tracker.note(offset).is_some_and(|note| note.failures > 0);
        let mut is_cut = false;
        for index in 0..LENGTH {
            let offset = self.model.offset(index);
            let Some(note) = self.model.note(index).filter(|note| note.failures > 0) else {
                continue;
            };
            if failed(&written, offset) {
                assert!(!is_cut, "the first ones are kept");
                continue;
            }
            is_cut = true;
            *note = Note {
                crashes: note.crashes,
                ..Note::default()
            };
        }
        assert!(
            !is_cut || text.len() > LARGEST_METADATA - 50,
            "{}",
            text.len()
        );
    }

    pub(super) fn check(&mut self) {
        let (tracker, model) = (&self.tracker, &mut self.model);
        assert_eq!(tracker.base(), model.offset(model.base()));
        assert_eq!(tracker.next(), model.offset(model.next()));
        assert_eq!(tracker.promise(), model.promise);
        let mut suspects = Vec::new();
        for index in 0..LENGTH {
            let offset = model.offset(index);
            let note = model.note(index).copied();
            let known = note.filter(|note| *note != Note::default());
            assert_eq!(tracker.note(offset).copied(), known, "offset {offset}");
            assert_eq!(
                tracker.is_unfinished(offset),
                note.is_some(),
                "offset {offset}"
            );
            suspects.extend(note.filter(|note| note.crashes > 0).map(|_| offset));
        }
        assert_eq!(tracker.suspects().collect::<Vec<_>>(), suspects);
    }
}
