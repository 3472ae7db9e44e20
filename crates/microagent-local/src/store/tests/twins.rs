//! The in-memory store stands in for the file in the tests of the hub, so they must never differ.

use proptest::prelude::*;

use super::*;

fn change() -> impl Strategy<Value = Change> {
    // Few ids and queues, so that changes meet.
    let id = || 1..12u64;
    let queue = || prop::sample::select(vec!["a", "b", "c.dead"]).prop_map(Into::into);
    let due = || {
        (0..4_000_000_000_000_000u64)
            .prop_map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
    };
    let pairs = || prop::collection::vec(("[abc]", "\\PC{0,4}"), 0..3);
    let payload = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let body = (payload(), pairs()).prop_map(|(payload, headers)| Body { payload, headers });
    let rewrite = prop_oneof![pairs().prop_map(Rewrite::Add), Just(Rewrite::Revive)];
    prop_oneof![
        4 => (id(), queue(), body, prop::option::of(due()))
            .prop_map(|(id, queue, body, due)| Change::Insert { id, queue, body, due }),
        2 => id().prop_map(|id| Change::Remove { id }),
        1 => (id(), 1..9u32, due(), due())
            .prop_map(|(id, attempt, due, failed)| Change::Delay { id, attempt, due, failed }),
        1 => (id(), due()).prop_map(|(id, due)| Change::Reschedule { id, due }),
        1 => (id(), id(), queue(), rewrite).prop_map(
            |(id, to, queue, headers)| Change::Move { id, to, queue, headers }
        ),
        1 => ("[ab]", "[xy]", due())
            .prop_map(|(key, holder, until)| Change::Lease(StoredLease { key, holder, until })),
        1 => "[ab]".prop_map(|key| Change::Release { key }),
        1 => (id(), 0..9u32).prop_map(|(id, crashes)| Change::Suspect { id, crashes }),
        1 => id().prop_map(|id| Change::Take { id }),
        1 => id().prop_map(|id| Change::Untake { id }),
        1 => queue().prop_map(|queue| Change::Declare { queue }),
    ]
}

fn commits() -> impl Strategy<Value = Vec<Vec<Change>>> {
    prop::collection::vec(prop::collection::vec(change(), 0..6), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_stores_answer_alike(commits in commits(), reopened in 0..20usize) {
        let folder = Folder::new();
        let (mut memory, mut file) = (MemoryStore::default(), folder.open());
        let all: Vec<MessageId> = (0..14).collect();
        for (turn, changes) in commits.iter().enumerate() {
            let (expected, result) = (memory.commit(changes), file.commit(changes));
            prop_assert_eq!(format!("{expected:?}"), format!("{result:?}"));
            if turn == reopened {
                drop(file);
                file = folder.open();
            }
            prop_assert_eq!(memory.load().unwrap(), file.load().unwrap());
            prop_assert_eq!(memory.bodies(&all).unwrap(), file.bodies(&all).unwrap());
        }
    }
}
