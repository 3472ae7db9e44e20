//! The tracker against a naive model, and its metadata.

mod model;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use proptest::{collection::vec, prelude::*};

use super::{LARGEST_METADATA, Note, Promise, Tracker};
use model::{Pair, Step, step};

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
        pair.take(&Step::Leave);
        let text = pair.tracker.metadata().expect("room() left place for it");
        prop_assert!(text.len() <= LARGEST_METADATA);
        let base = pair.tracker.base();
        let mut restored = Tracker::restored(base, &text);
        restored.next = pair.tracker.next;
        prop_assert_eq!(&restored.finished, &pair.tracker.finished);
        pair.forget_failures_that_are_not_in(base, &text);
        pair.tracker = restored;
        pair.check();
    }

    #[test]
    fn foreign_metadata_is_ignored(base in 0_i64..1 << 50, text in "(v[12]:)?[A-Za-z0-9+/=:]{0,60}|.{0,40}") {
        prop_assert_eq!(Tracker::restored(base, &text), Tracker::new(base));
    }

    #[test]
    fn damaged_metadata_is_ignored(steps in vec(step(), 20..100), place in any::<prop::sample::Index>(), by in 1_u8..=255) {
        let mut pair = Pair::new(7);
        steps.iter().for_each(|step| pair.take(step));
        let (base, text) = (pair.tracker.base(), pair.tracker.metadata().unwrap());
        let mut bytes = BASE64.decode(&text["v2:".len()..]).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= by;
        let damaged = format!("v2:{}", BASE64.encode(&bytes));
        prop_assert_eq!(Tracker::restored(base, &damaged), Tracker::new(base));
        let cut = &text[..text.len() - 1];
        prop_assert_eq!(Tracker::restored(base, cut), Tracker::new(base));
        // A tool has moved the group.
        prop_assert_eq!(Tracker::restored(base + 1, &text), Tracker::new(base + 1));
    }
}

/// Reads as many messages as there is room for.
fn read_all(tracker: &mut Tracker) {
    for _ in 0..tracker.room() {
        let next = tracker.next();
        tracker.read(next);
    }
}

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// The end of a message in flight. With a concurrency of thousands, all messages of the window end in any order, beside old ones that last.
fn fate() -> impl Strategy<Value = (bool, bool)> {
    (any::<bool>(), prop::bool::weighted(0.05))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_becomes_of_a_full_window_fits(
        gaps in vec((1_usize..40, 0_i64..1 << 20), 0..400),
        fates in vec(fate(), 8192),
    ) {
        // Old messages that are not finished, with long runs between them.
        let mut tracker = Tracker::new(1 << 40);
        for (open, finished) in gaps {
            for _ in 0..open.min(tracker.room()) {
                tracker.read(tracker.next());
            }
            if tracker.room() > 0 {
                let start = tracker.next();
                tracker.finish_all(start, start + finished);
                tracker.next += finished;
            }
        }
        read_all(&mut tracker);
        tracker.open(tracker.next());
        for (offset, (finishes, fails)) in tracker.in_flight().into_iter().zip(fates) {
            if finishes {
                tracker.finish(offset);
            } else if fails {
                tracker.fail(offset, at(1_700_000_000_000 + offset.unsigned_abs() % 10_000), Duration::from_secs(60));
            }
        }
        let text = tracker.metadata().expect("room() left place for it");
        prop_assert!(text.len() <= LARGEST_METADATA);
        let restored = Tracker::committed(tracker.base(), &text);
        prop_assert_eq!(&restored.finished, &tracker.finished);
        prop_assert_eq!(restored.promise, tracker.promise);
        // So does what a death makes of it.
        let restored = Tracker::restored(tracker.base(), &text);
        prop_assert!(restored.metadata().is_some());
    }
}

#[test]
fn a_window_of_thousands_fits() {
    let mut tracker = Tracker::new(7);
    read_all(&mut tracker);
    assert_eq!((tracker.unfinished(), tracker.room()), (8_192, 0));
    // Each second one is finished.
    for offset in (8..tracker.next()).step_by(2) {
        tracker.finish(offset);
    }
    tracker.open(tracker.next());
    let text = tracker.metadata().unwrap();
    assert!(text.len() < 1_450, "{}", text.len());
    let restored = Tracker::restored(7, &text);
    assert_eq!(restored.suspects().count(), 4_096);
    assert!(restored.metadata().unwrap().len() < 1_450);
}

#[test]
fn if_all_fail_at_once_the_attempts_of_the_first_are_kept() {
    let mut tracker = Tracker::new(0);
    read_all(&mut tracker);
    let end = tracker.next();
    tracker.open(end);
    for offset in 0..end {
        let now = at(1_700_000_000_000 + 17 * offset.unsigned_abs());
        tracker.fail(offset, now, Duration::from_secs(3_600));
    }
    assert_eq!((tracker.room(), tracker.fits()), (0, false));
    let text = tracker.metadata().unwrap();
    assert!(text.len() > LARGEST_METADATA - 30, "{}", text.len());
    let restored = Tracker::restored(0, &text);
    let failed = |offset: &i64| restored.note(*offset).is_some_and(|note| note.failures > 0);
    let known = (0..end).filter(failed).count();
    assert!((200..500).contains(&known), "{known}");
    assert!((0..i64::try_from(known).unwrap()).all(|offset| failed(&offset)));
    // The others may have been in flight, as far as the next owner knows.
    assert_eq!(restored.suspects().count(), 8_192 - known);
    // It reads on when some are finished.
    (0..end - 100).for_each(|offset| assert!(tracker.finish(offset)));
    assert!(tracker.room() > 1_000, "{}", tracker.room());
}

#[test]
fn failures_hold_back_reading_before_their_notes_do_not_fit() {
    let mut tracker = Tracker::new(0);
    let mut failed = 0;
    while tracker.room() > 0 {
        let offset = tracker.next();
        assert!(tracker.read(offset));
        tracker.fail(
            offset,
            at(1_700_000_000_000 + 1_000 * failed),
            Duration::from_secs(60),
        );
        failed += 1;
    }
    assert!(failed >= 108, "{failed}");
    tracker.open(tracker.next());
    let restored = Tracker::restored(0, &tracker.metadata().unwrap());
    assert_eq!(restored.suspects().count(), 0, "all notes are there");
    assert_eq!(restored.delayed(at(0)).count() as u64, failed);
}

#[test]
fn counts_of_crashes_that_do_not_fit_become_lower_and_no_suspect_is_forgotten() {
    let mut tracker = Tracker::new(0);
    read_all(&mut tracker);
    for offset in 0..tracker.next() {
        let crashes = 1 + u32::try_from(offset % 2).unwrap();
        let note = Note {
            crashes,
            ..Note::default()
        };
        tracker.notes.insert(offset, note);
    }
    let restored = Tracker::restored(0, &tracker.metadata().unwrap());
    assert_eq!(restored.suspects().count(), 8_192);
    let crashes = |offset: i64| restored.note(offset).unwrap().crashes;
    assert_eq!([0, 1, 2, 3, 8_191].map(crashes), [1, 2, 1, 2, 1]);
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let text = "v1:ZUnAugEHAgICAQEBAAECAegHAQcAwKkH";
    let tracker = Tracker::committed(5, text);
    assert_eq!(
        tracker.finished.iter().collect::<Vec<_>>(),
        [(7, 9), (10, 11)]
    );
    assert_eq!(tracker.promise(), Promise::Open { reach: 12 });
    assert_eq!(tracker.note(5).map(|note| note.crashes), Some(2));
    let failed = *tracker.note(6).unwrap();
    assert_eq!((failed.failures, failed.waits), (3, true));
    assert_eq!(
        (failed.first_failure(), failed.due()),
        (Some(at(1_000)), Some(at(61_000)))
    );
    assert_eq!(tracker.in_flight(), [9, 11]);
    assert_eq!(Tracker::committed(6, text), Tracker::new(6));
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
    assert_eq!(tracker.unfinished(), 8_192);
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
    second.open_suspect(1);
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
fn many_suspects_share_a_promise_until_a_process_dies_under_it() {
    let mut tracker = Tracker::new(0);
    read_all(&mut tracker);
    tracker.open(200);
    let after_death =
        |tracker: &Tracker| Tracker::restored(tracker.base(), &tracker.metadata().unwrap());
    let mut second = after_death(&tracker);
    second.finish(0);
    second.open_suspect(1);
    assert_eq!(second.promise(), Promise::Series { start: 1, end: 65 });
    assert!(second.is_promised(1) && second.is_promised(64) && !second.is_promised(65));
    assert!(second.finish(1));
    second.open_suspect(2);
    assert_eq!(second.promise(), Promise::Series { start: 1, end: 65 });
    assert_eq!(second.in_flight(), (2..65).collect::<Vec<_>>());

    // One of them has killed it: none is counted, and each runs under a promise of its own.
    let mut third = after_death(&second);
    let crashes = |tracker: &Tracker, offset| tracker.note(offset).map(|note| note.crashes);
    assert!((2..200).all(|offset| crashes(&third, offset) == Some(1)));
    third.open_suspect(2);
    assert_eq!(third.promise(), Promise::Alone { offset: 2 });
    let mut fourth = after_death(&third);
    assert_eq!(
        (crashes(&fourth, 2), crashes(&fourth, 3)),
        (Some(2), Some(1))
    );
    fourth.open_suspect(64);
    assert_eq!(fourth.promise(), Promise::Alone { offset: 64 });
    fourth.open_suspect(65);
    assert_eq!(
        fourth.promise(),
        Promise::Series {
            start: 65,
            end: 129
        }
    );
    // The last ones are few.
    fourth.open_suspect(137);
    assert_eq!(fourth.promise(), Promise::Alone { offset: 137 });
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
