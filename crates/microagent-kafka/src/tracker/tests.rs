//! The tracker against a naive model, and its metadata.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::{collection::vec, prelude::*};

use super::{LARGEST_METADATA, Note, Promise, Tracker, base64, metadata::most_unfinished};

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
                    Promise::Open { reach } => offset < reach && note.crashes == 0,
                    Promise::Alone { offset: alone } => offset == alone,
                });
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read { skipped: usize },
    Finish(prop::sample::Index),
    Fail(prop::sample::Index, u64, u64),
    Open,
    Alone(prop::sample::Index),
    Leave,
    Commit,
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => Just(Step::Read { skipped: 0 }),
        1 => (0_usize..4).prop_map(|skipped| Step::Read { skipped }),
        6 => index().prop_map(Step::Finish),
        3 => (index(), 1_700_000_000_000_u64..1_800_000_000_000, 0_u64..1 << 40)
            .prop_map(|(index, now, delay)| Step::Fail(index, now, delay)),
        2 => Just(Step::Open),
        1 => index().prop_map(Step::Alone),
        1 => Just(Step::Leave),
        2 => Just(Step::Commit),
        1 => Just(Step::Die),
    ]
}

const LENGTH: usize = 200;

/// A tracker beside its model, and what both were at the last commit.
struct Pair {
    tracker: Tracker,
    model: Model,
    committed: (i64, String, Model),
}

impl Pair {
    fn new(first: i64) -> Self {
        let (tracker, model) = (Tracker::new(first), Model::new(first, LENGTH));
        let text = tracker.metadata().unwrap();
        let committed = (first, text, model.clone());
        Self {
            tracker,
            model,
            committed,
        }
    }

    fn take(&mut self, step: &Step) {
        let read = self.model.next();
        let chosen = |index: &prop::sample::Index| (read > 0).then(|| index.index(read));
        match step {
            Step::Read { skipped } => {
                let index = read + skipped;
                if index < LENGTH && self.tracker.room() > 0 {
                    self.model.read(index);
                    let is_open = self.tracker.read(self.model.offset(index));
                    assert_eq!(is_open, self.model.note(index).is_some());
                }
            }
            Step::Finish(index) => {
                if let Some(index) = chosen(index) {
                    let is_new = self.tracker.finish(self.model.offset(index));
                    assert_eq!(is_new, self.model.note(index).is_some());
                    self.model.finish(index);
                }
            }
            Step::Fail(index, now, delay) => {
                if let Some(index) = chosen(index) {
                    let at = UNIX_EPOCH + Duration::from_millis(*now);
                    let offset = self.model.offset(index);
                    self.tracker.fail(offset, at, Duration::from_millis(*delay));
                    self.model.fail(index, *now, *delay);
                }
            }
            Step::Open => {
                self.tracker.open();
                let reach = self.model.offset(read);
                self.model.promise = Promise::Open { reach };
            }
            Step::Alone(index) => {
                let suspects: Vec<_> = self.tracker.suspects().collect();
                if !suspects.is_empty() {
                    let offset = suspects[index.index(suspects.len())];
                    self.tracker.open_alone(offset);
                    self.model.promise = Promise::Alone { offset };
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
                let (base, text, model) = &self.committed;
                self.tracker = Tracker::restored(*base, text);
                self.model = model.clone();
                self.model.die();
            }
        }
    }

    fn check(&mut self) {
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

proptest! {
    #[test]
    fn it_does_what_the_model_does(first in 0_i64..1 << 50, steps in vec(step(), 0..300)) {
        let mut pair = Pair::new(first);
        for step in &steps {
            pair.take(step);
            pair.check();
        }
    }

    #[test]
    fn metadata_comes_back_as_it_was(first in 0_i64..1 << 50, steps in vec(step(), 0..300)) {
        let mut pair = Pair::new(first);
        steps.iter().for_each(|step| pair.take(step));
        pair.tracker.leave();
        let text = pair.tracker.metadata().expect("room() left place for it");
        prop_assert!(text.len() <= LARGEST_METADATA);
        let mut restored = Tracker::restored(pair.tracker.base(), &text);
        restored.next = pair.tracker.next;
        prop_assert_eq!(&restored, &pair.tracker);
    }

    #[test]
    fn foreign_metadata_is_ignored(base in 0_i64..1 << 50, text in "(v1:)?[A-Za-z0-9+/=:]{0,60}|.{0,40}") {
        prop_assert_eq!(Tracker::restored(base, &text), Tracker::new(base));
    }

    #[test]
    fn damaged_metadata_is_ignored(steps in vec(step(), 20..100), place in any::<prop::sample::Index>(), by in 1_u8..=255) {
        let mut pair = Pair::new(7);
        steps.iter().for_each(|step| pair.take(step));
        let (base, text) = (pair.tracker.base(), pair.tracker.metadata().unwrap());
        let mut bytes = base64::decode(&text["v1:".len()..]).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        let damaged = format!("v1:{}", base64::encode(&bytes));
        prop_assert_eq!(Tracker::restored(base, &damaged), Tracker::new(base));
        let cut = &text[..text.len() - 1];
        prop_assert_eq!(Tracker::restored(base, cut), Tracker::new(base));
        // A tool has moved the group.
        prop_assert_eq!(Tracker::restored(base + 1, &text), Tracker::new(base + 1));
    }
}

/// Reads as many messages as there is room for.
fn read_all(tracker: &mut Tracker) {
    while tracker.room() > 0 {
        let next = tracker.next();
        tracker.read(next);
    }
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

#[test]
fn the_worst_that_can_become_of_a_full_window_fits() {
    // Every second one of those that are unfinished lies alone between finished ones, has failed often, at times far apart,
    // and has crashes unlike its neighbour's.
    let mut tracker = Tracker::new(1 << 40);
    let mut now = 1_000;
    for _ in 0..10_000 {
        if tracker.room() == 0 {
            break;
        }
        let offset = tracker.next();
        tracker.read(offset);
        let note = tracker.notes.entry(offset).or_default();
        (note.failures, note.crashes) = (9_999, 9_000 + u32::try_from(offset % 7).unwrap());
        (note.first_failure, note.due) = (now, now + super::LONGEST_DELAY);
        now = if now == 1_000 { 1 << 41 } else { now + 1 };
        for _ in 0..150 {
            let next = tracker.next();
            tracker.read(next);
            tracker.finish(next);
        }
    }
    assert_eq!(tracker.room(), 0);
    assert!(tracker.unfinished() >= 90, "{}", tracker.unfinished());
    assert!(tracker.metadata().is_some());
    // A death makes suspects of all.
    tracker.open();
    let text = tracker.metadata().unwrap();
    assert!(text.len() > LARGEST_METADATA / 2, "{}", text.len());
    let restored = Tracker::restored(tracker.base(), &text);
    assert!(restored.metadata().is_some());
}

#[test]
fn one_that_fails_again_and_again_holds_the_commit_and_costs_little() {
    let mut tracker = Tracker::new(0);
    for offset in 0..50_000 {
        assert!(tracker.read(offset) && tracker.room() > 0);
        match offset {
            5 => tracker.fail(5, at(1_000), Duration::from_secs(1)),
            _ => assert!(tracker.finish(offset)),
        }
    }
    assert_eq!((tracker.base(), tracker.unfinished()), (5, 1));
    assert_eq!(tracker.finished_beyond(), 49_994);
    assert!(tracker.metadata().unwrap().len() < 40);
    tracker.fail(5, at(2_000), Duration::MAX);
    let note = tracker.note(5).unwrap();
    assert_eq!((note.failures, note.first_failure()), (2, Some(at(1_000))));
    assert_eq!(note.due(), Some(at(2_000 + (1 << 40))));
    tracker.finish(5);
    assert_eq!((tracker.base(), tracker.next()), (50_000, 50_000));
    assert_eq!(
        tracker,
        Tracker {
            base: 50_000,
            next: 50_000,
            ..Tracker::new(0)
        }
    );
}

#[test]
fn a_full_window_reads_on_when_a_message_is_finished() {
    let mut tracker = Tracker::new(0);
    read_all(&mut tracker);
    assert_eq!(tracker.unfinished(), most_unfinished(tracker.next()));
    tracker.finish(tracker.base() + 3);
    assert_eq!(tracker.room(), 1);
}

#[test]
fn only_the_lone_run_of_a_suspect_counts_its_death() {
    let mut tracker = Tracker::new(0);
    (0..3).for_each(|offset| assert!(tracker.read(offset)));
    tracker.open();
    let after_death =
        |tracker: &Tracker| Tracker::restored(tracker.base(), &tracker.metadata().unwrap());
    let mut second = after_death(&tracker);
    assert!(!second.is_promised(0), "nothing before a commit");
    second.open_alone(1);
    assert!(second.is_promised(1) && !second.is_promised(0));
    let third = after_death(&second);
    let crashes = |tracker: &Tracker| [0, 1, 2].map(|offset| tracker.note(offset).unwrap().crashes);
    assert_eq!(crashes(&third), [1, 2, 1]);

    // New messages under an open promise do not make the waiting suspects count.
    let mut third = third;
    (0..4).for_each(|offset| assert!(third.read(offset)));
    third.open();
    assert!(third.is_promised(3) && !third.is_promised(2));
    let fourth = after_death(&third);
    assert_eq!(crashes(&fourth), [1, 2, 1]);
    assert_eq!(fourth.note(3).unwrap().crashes, 1);
}

#[test]
fn offsets_that_the_log_has_lost_are_finished() {
    let mut tracker = Tracker::new(0);
    assert!(tracker.read(0) && tracker.read(4));
    assert_eq!((tracker.base(), tracker.unfinished()), (0, 2));
    assert!(tracker.finish(0) && !tracker.finish(0));
    assert_eq!(tracker.base(), 4);
    // The retention has removed what was to be repeated.
    let mut restored = Tracker::restored(4, &tracker.metadata().unwrap());
    assert!(restored.read(9));
    assert_eq!((restored.base(), restored.next()), (9, 10));
}
