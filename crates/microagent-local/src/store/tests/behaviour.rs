//! One suite for both stores. Every check is made before and, where there is one, after the file was closed and opened again.

use microagent_core::header;

use super::*;
use crate::store::{Snapshot, StoredMessage};

/// A store that can be closed and opened again.
enum Subject {
    Memory(MemoryStore),
    File(Folder, Option<SqliteStore>),
}

impl Subject {
    fn both() -> [Self; 2] {
        let folder = Folder::new();
        let store = folder.open();
        [
            Self::Memory(MemoryStore::default()),
            Self::File(folder, Some(store)),
        ]
    }

    fn store(&mut self) -> &mut dyn Store {
        match self {
            Self::Memory(store) => store,
            Self::File(_, store) => store.as_mut().unwrap(),
        }
    }

    fn reopen(&mut self) {
        if let Self::File(folder, store) = self {
            store.take();
            *store = Some(folder.open());
        }
    }

    /// Commits, and says what is stored when the store has been opened anew.
    fn after(&mut self, changes: &[Change]) -> Snapshot {
        self.store().commit(changes).unwrap();
        let before = self.store().load().unwrap();
        self.reopen();
        assert_eq!(self.store().load().unwrap(), before, "opened again");
        before
    }

    fn only(&mut self, changes: &[Change]) -> StoredMessage {
        let mut messages = self.after(changes).messages;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    fn body(&mut self, id: MessageId) -> Body {
        let mut bodies = self.store().bodies(&[id]).unwrap();
        assert_eq!(bodies.len(), 1);
        bodies.remove(0).1
    }
}

#[test]
fn a_new_store_is_empty_and_gives_ids_from_one() {
    for mut subject in Subject::both() {
        let empty = subject.store().load().unwrap();
        assert_eq!(
            (empty.queues, empty.messages, empty.next_id),
            (vec![], vec![], 1)
        );
    }
}

#[test]
fn a_message_keeps_everything_it_came_with() {
    for mut subject in Subject::both() {
        let sent = Body {
            payload: Bytes::from_static(b"\x00\xff not text"),
            headers: headers(&[("b", "2"), ("a", "1"), ("b", "\u{1f980} again")]),
        };
        let row = subject.only(&[Change::Insert {
            id: 7,
            queue: "mailer".into(),
            body: sent.clone(),
            due: Some(at(1000)),
        }]);
        let expected = StoredMessage {
            id: 7,
            queue: "mailer".into(),
            attempt: 1,
            crashes: 0,
            due: Some(at(1000)),
            first_failure: None,
            taken: false,
            bytes: 51,
        };
        assert_eq!(row, expected);
        assert_eq!(subject.body(7), sent);
    }
}

#[test]
fn an_empty_payload_and_one_of_megabytes_come_back_as_they_were() {
    for mut subject in Subject::both() {
        let large = Bytes::from(vec![0xA5; 3 * 1024 * 1024]);
        let insert = |id, payload: &Bytes| Change::Insert {
            id,
            queue: "q".into(),
            body: Body {
                payload: payload.clone(),
                headers: Headers::new(),
            },
            due: None,
        };
        let rows = subject
            .after(&[insert(1, &Bytes::new()), insert(2, &large)])
            .messages;
        assert_eq!((rows[0].bytes, rows[1].bytes), (0, 3 * 1024 * 1024));
        assert_eq!(
            (subject.body(1).payload, subject.body(2).payload),
            (Bytes::new(), large)
        );
    }
}

#[test]
fn messages_are_listed_by_id_whatever_order_they_came_in() {
    for mut subject in Subject::both() {
        let after = subject.after(&[
            insert(5, "a"),
            insert(2, "b"),
            insert(9, "a"),
            insert(3, "b"),
        ]);
        let listed: Vec<_> = after
            .messages
            .iter()
            .map(|row| (row.id, &*row.queue))
            .collect();
        assert_eq!(listed, [(2, "b"), (3, "b"), (5, "a"), (9, "a")]);
        assert_eq!(after.next_id, 10);
    }
}

#[test]
fn bodies_come_in_the_order_asked_for_without_the_unknown() {
    for mut subject in Subject::both() {
        subject.after(&[insert(1, "q"), insert(2, "q"), insert(3, "q")]);
        let bodies = subject.store().bodies(&[3, 99, 1]).unwrap();
        assert_eq!(bodies, [(3, body("3")), (1, body("1"))]);
    }
}

#[test]
fn an_id_is_never_given_again_even_when_the_newest_message_is_gone() {
    for mut subject in Subject::both() {
        let after = subject.after(&[insert(1, "q"), insert(2, "q"), Change::Remove { id: 2 }]);
        assert_eq!((after.messages.len(), after.next_id), (1, 3));
        assert_eq!(subject.after(&[Change::Remove { id: 1 }]).next_id, 3);
    }
}

#[test]
fn a_queue_exists_from_its_first_mention_and_stays() {
    for mut subject in Subject::both() {
        subject.after(&[
            Change::Declare {
                queue: "empty".into(),
            },
            insert(1, "used"),
        ]);
        let again = [
            Change::Declare {
                queue: "empty".into(),
            },
            Change::Remove { id: 1 },
        ];
        assert_eq!(
            subject.after(&again).queues,
            ["empty".into(), "used".into()]
        );
    }
}

#[test]
fn a_retry_waits_with_its_attempt_and_is_no_longer_in_flight() {
    for mut subject in Subject::both() {
        let row = subject.only(&[
            insert(1, "q"),
            Change::Take { id: 1 },
            Change::Delay {
                id: 1,
                attempt: 2,
                due: at(60),
                failed: at(59),
            },
        ]);
        assert_eq!((row.attempt, row.due, row.taken), (2, Some(at(60)), false));
        assert_eq!(row.first_failure, Some(at(59)));
        assert_eq!(subject.body(1), body("1"));
        let row = subject.only(&[Change::Delay {
            id: 1,
            attempt: 3,
            due: at(70),
            failed: at(61),
        }]);
        assert_eq!(row.first_failure, Some(at(59)), "the first one stays");
    }
}

#[test]
fn a_delay_is_never_shortened_by_the_resolution_of_the_store() {
    for mut subject in Subject::both() {
        let due = at(60) + Duration::from_nanos(1);
        let row = subject.only(&[
            insert(1, "q"),
            Change::Delay {
                id: 1,
                attempt: 2,
                due,
                failed: at(1),
            },
        ]);
        assert_eq!(row.due, Some(at(60) + Duration::from_millis(1)));
    }
}

#[test]
fn a_dead_letter_is_the_newest_of_its_queue_with_the_old_body_and_more_headers() {
    for mut subject in Subject::both() {
        let sent = Body {
            headers: headers(&[("trace", "t1"), ("why", "old")]),
            ..body("1")
        };
        let first = Change::Insert {
            id: 1,
            queue: "q".into(),
            body: sent,
            due: Some(at(5)),
        };
        let died = Change::Suspect { id: 1, crashes: 3 };
        subject.after(&[first, insert(2, "q.dead"), died, Change::Take { id: 1 }]);
        let dead = Change::Move {
            id: 1,
            to: 3,
            queue: "q.dead".into(),
            headers: Rewrite::Add(headers(&[("why", "new")])),
        };
        let rows = subject.after(&[dead]).messages;
        let listed: Vec<_> = rows.iter().map(|row| (row.id, &*row.queue)).collect();
        assert_eq!(listed, [(2, "q.dead"), (3, "q.dead")]);
        let moved = &rows[1];
        assert_eq!(
            (moved.attempt, moved.crashes, moved.due, moved.taken),
            (1, 0, None, false)
        );
        let expected = Body {
            headers: headers(&[("trace", "t1"), ("why", "new")]),
            ..body("1")
        };
        assert_eq!(subject.body(3), expected);
        assert_eq!(subject.store().bodies(&[1]).unwrap(), []);
    }
}

#[test]
fn a_dead_letter_that_goes_back_to_work_forgets_its_death() {
    for mut subject in Subject::both() {
        let sent = Body {
            headers: headers(&[("trace", "t1"), (header::DEAD_REASON, "failed")]),
            ..body("1")
        };
        let dead = Change::Insert {
            id: 1,
            queue: "q.dead".into(),
            body: sent,
            due: None,
        };
        let back = Change::Move {
            id: 1,
            to: 2,
            queue: "q".into(),
            headers: Rewrite::Revive,
        };
        assert_eq!(&*subject.only(&[dead, back]).queue, "q");
        assert_eq!(subject.body(2).headers, headers(&[("trace", "t1")]));
    }
}

#[test]
fn a_lease_is_kept_until_it_is_released_or_given_to_another() {
    for mut subject in Subject::both() {
        let leased = |holder: &str, until| StoredLease {
            key: "nightly".into(),
            holder: holder.into(),
            until: at(until),
        };
        let after = subject.after(&[
            Change::Lease(leased("one", 5)),
            Change::Lease(leased("two", 9)),
        ]);
        assert_eq!(after.leases, [leased("two", 9)]);
        let failing = [
            Change::Release {
                key: "nightly".into(),
            },
            insert(1, "q"),
            insert(1, "q"),
        ];
        subject.store().commit(&failing).unwrap_err();
        assert_eq!(subject.store().load().unwrap().leases, [leased("two", 9)]);
        let key = "nightly".into();
        assert_eq!(subject.after(&[Change::Release { key }]).leases, []);
    }
}

#[test]
fn messages_in_flight_in_the_host_are_known_after_its_crash() {
    for mut subject in Subject::both() {
        assert!(
            subject
                .only(&[insert(1, "q"), Change::Take { id: 1 }])
                .taken
        );
        assert!(!subject.only(&[Change::Untake { id: 1 }]).taken);
        let suspect = subject.only(&[
            Change::Take { id: 1 },
            Change::Suspect { id: 1, crashes: 2 },
        ]);
        assert_eq!((suspect.crashes, suspect.taken), (2, false));
    }
}

#[test]
fn a_step_on_a_message_that_is_gone_changes_nothing() {
    for mut subject in Subject::both() {
        let (id, queue) = (9, "elsewhere");
        let after = subject.after(&[
            Change::Remove { id },
            Change::Delay {
                id,
                attempt: 2,
                due: at(1),
                failed: at(0),
            },
            Change::Suspect { id, crashes: 1 },
            Change::Take { id },
            Change::Untake { id },
            Change::Move {
                id,
                to: 10,
                queue: queue.into(),
                headers: Rewrite::Revive,
            },
        ]);
        assert_eq!(
            (after.queues, after.messages, after.next_id),
            (vec![], vec![], 1)
        );
    }
}

#[test]
fn a_commit_that_fails_half_way_leaves_nothing_behind() {
    for mut subject in Subject::both() {
        let before = subject.after(&[insert(1, "q"), insert(2, "q")]);
        let bad = [
            Change::Remove { id: 1 },
            Change::Take { id: 2 },
            insert(3, "new"),
            Change::Move {
                id: 3,
                to: 4,
                queue: "newer".into(),
                headers: Rewrite::Revive,
            },
            insert(2, "q"),
        ];
        let error = subject.store().commit(&bad).unwrap_err();
        assert!(
            error.to_string().contains("message 2 is stored already"),
            "{error}"
        );
        assert_eq!(subject.store().load().unwrap(), before);
        // The queue of the failed commit must be made anew.
        let after = subject.after(&[insert(3, "new")]);
        assert_eq!(
            (after.queues, after.next_id),
            (vec!["new".into(), "q".into()], 4)
        );
    }
}
