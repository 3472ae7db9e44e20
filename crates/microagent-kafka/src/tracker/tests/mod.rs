//! The tracker against a naive model, and its metadata.

mod model;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use proptest::{collection::vec, prelude::*};

use super::{LARGEST_METADATA, Tracker, metadata::most_unfinished};
use model::{Pair, step};

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
        let mut bytes = BASE64.decode(&text["v1:".len()..]).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        let damaged = format!("v1:{}", BASE64.encode(&bytes));
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
    tracker.open(tracker.next());
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
    tracker.open(tracker.next());
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
    third.open(third.next());
    assert!(third.is_promised(3) && !third.is_promised(2));
    let fourth = after_death(&third);
    assert_eq!(crashes(&fourth), [1, 2, 1]);
    assert_eq!(fourth.note(3).unwrap().crashes, 1);
}

#[test]
fn a_message_that_waits_for_its_retry_is_not_a_suspect() {
    let mut tracker = Tracker::new(0);
    (0..3).for_each(|offset| assert!(tracker.read(offset)));
    tracker.fail(0, at(1_000), Duration::from_secs(60));
    tracker.fail(1, at(1_000), Duration::ZERO);
    tracker.start(1);
    tracker.open(3);
    let restored = Tracker::restored(0, &tracker.metadata().unwrap());
    assert_eq!(restored.suspects().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(restored.note(0).unwrap().failures, 1);
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

/// Other clients read the metadata of a group, too, and what they write is not believed.
#[test]
fn the_encoding_is_that_of_the_rfc_without_padding() {
    let examples = [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg"),
        ("fooba", "Zm9vYmE"),
        ("foobar", "Zm9vYmFy"),
    ];
    for (plain, encoded) in examples {
        assert_eq!(BASE64.encode(plain), encoded);
        assert_eq!(BASE64.decode(encoded).as_deref(), Ok(plain.as_bytes()));
    }
}

#[test]
fn other_texts_are_refused() {
    for text in ["Z", "Zm9vY", "Zg==", "Zm 8", "Zh", "Zm9", "é", "Zm8-"] {
        assert!(BASE64.decode(text).is_err(), "{text}");
    }
}
