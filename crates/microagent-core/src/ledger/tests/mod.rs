//! The order of hand-outs.

mod random;

use std::time::Duration;

use tokio::time::Instant;

use super::{ConsumerId, HandOut, Ledger, MessageId, PeerId, Position};
use crate::Depth;

const QUEUE: &str = "mailer";

fn ledger_with(messages: std::ops::RangeInclusive<MessageId>) -> Ledger<()> {
    let mut ledger = Ledger::new();
    for id in messages {
        ledger.put(id, QUEUE, (), Position::Tail);
    }
    ledger
}

fn join(ledger: &mut Ledger<()>, consumer: u64, peer: u64, credit: usize) {
    ledger.join(ConsumerId(consumer), PeerId(peer), QUEUE, credit);
}

fn hand_out_all(ledger: &mut Ledger<()>) -> Vec<(u64, MessageId)> {
    std::iter::from_fn(|| ledger.hand_out())
        .map(|handed| (handed.consumer.0, handed.id))
        .collect()
}

fn lose(ledger: &mut Ledger<()>, peer: u64) {
    for (id, entry) in ledger.lost(PeerId(peer)) {
        let crashes = entry.crashes + 1;
        ledger.put_back(id, entry, Position::Suspect(crashes));
    }
}

#[test]
fn consumers_take_turns_within_their_credit() {
    let mut ledger = ledger_with(1..=5);
    join(&mut ledger, 1, 1, 1);
    join(&mut ledger, 2, 2, 3);

    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (2, 2), (2, 3), (2, 4)]);
    assert_eq!(ledger.length(QUEUE), 1);

    assert!(ledger.take(1, PeerId(1)).is_some());
    assert_eq!(hand_out_all(&mut ledger), [(1, 5)]);
}

#[test]
fn only_the_holder_takes_a_message_out_and_only_once() {
    let mut ledger = ledger_with(1..=1);
    join(&mut ledger, 1, 1, 1);
    assert!(ledger.take(1, PeerId(1)).is_none(), "it waits");
    hand_out_all(&mut ledger);

    assert!(ledger.take(1, PeerId(2)).is_none(), "another holds it");
    assert!(ledger.take(1, PeerId(1)).is_some());
    assert!(ledger.take(1, PeerId(1)).is_none(), "it is gone");
}

#[test]
fn returned_messages_go_first_in_the_order_of_arrival() {
    let mut ledger = ledger_with(1..=4);
    join(&mut ledger, 1, 1, 2);
    hand_out_all(&mut ledger);
    for id in [2, 1] {
        let entry = ledger.take(id, PeerId(1)).unwrap();
        ledger.put_back(id, entry, Position::Head);
    }
    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (1, 2)]);
}

#[test]
fn a_delayed_message_waits_outside_until_it_is_due() {
    let now = Instant::now();
    let due = now + Duration::from_secs(9);
    let mut ledger = ledger_with(2..=2);
    ledger.put(1, QUEUE, (), Position::Delayed(due));
    assert_eq!((ledger.length(QUEUE), ledger.next_due()), (1, Some(due)));

    join(&mut ledger, 1, 1, 9);
    ledger.wake(due - Duration::from_millis(1));
    assert_eq!(hand_out_all(&mut ledger), [(1, 2)]);
    ledger.wake(due);
    assert_eq!(hand_out_all(&mut ledger), [(1, 1)]);
    assert_eq!(ledger.next_due(), None);
}

#[test]
fn a_message_that_waits_or_is_delayed_is_removed() {
    let mut ledger = ledger_with(1..=3);
    join(&mut ledger, 1, 1, 1);
    assert_eq!(hand_out_all(&mut ledger), [(1, 1)]);
    let due = Instant::now() + Duration::from_secs(9);
    ledger.put(4, QUEUE, (), Position::Delayed(due));
    ledger.put(5, QUEUE, (), Position::Suspect(1));

    assert!(ledger.remove(1).is_none(), "it is in flight");
    for id in [2, 4, 5] {
        assert!(ledger.remove(id).is_some());
        assert!(ledger.remove(id).is_none(), "it is gone");
    }
    assert_eq!((ledger.length(QUEUE), ledger.next_due()), (1, None));
    ledger.take(1, PeerId(1));
    assert_eq!(hand_out_all(&mut ledger), [(1, 3)]);
}

#[test]
fn delayed_messages_are_rescheduled() {
    let now = Instant::now();
    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    let mut ledger = Ledger::new();
    ledger.put(1, QUEUE, minute, Position::Delayed(now + hour));
    ledger.put(2, QUEUE, 2 * hour, Position::Delayed(now + minute));
    ledger.put(3, QUEUE, hour, Position::Tail);

    let mut seen = Vec::new();
    ledger.reschedule(|id, entry, due| {
        seen.push((id, due));
        now + entry.item
    });
    assert_eq!(seen, [(2, now + minute), (1, now + hour)]);
    assert_eq!(ledger.next_due(), Some(now + minute));
    ledger.wake(now + minute);
    assert_eq!(ledger.length(QUEUE), 2);
    assert_eq!(ledger.next_due(), Some(now + 2 * hour));
}

#[test]
fn a_peer_with_many_consumers_is_lost_without_a_scan_for_each() {
    let mut ledger = ledger_with(1..=3);
    for consumer in 0..50_000 {
        join(&mut ledger, consumer, 1, 1);
    }
    assert_eq!(hand_out_all(&mut ledger).len(), 3);
    let begun = std::time::Instant::now();
    assert_eq!(ledger.lost(PeerId(1)).len(), 3);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    ledger.put(4, QUEUE, (), Position::Tail);
    join(&mut ledger, 50_000, 2, 1);
    assert_eq!(hand_out_all(&mut ledger), [(50_000, 4)]);
}

#[test]
fn suspects_run_alone_and_bystanders_go_on_elsewhere() {
    let mut ledger = ledger_with(1..=2);
    join(&mut ledger, 1, 1, 8);
    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (1, 2)]);
    lose(&mut ledger, 1);
    for id in 3..=5 {
        ledger.put(id, QUEUE, (), Position::Tail);
    }

    join(&mut ledger, 2, 2, 2);
    assert_eq!(hand_out_all(&mut ledger), [(2, 1)], "alone");
    join(&mut ledger, 3, 3, 1);
    assert_eq!(
        hand_out_all(&mut ledger),
        [(3, 2)],
        "a free peer takes the next suspect"
    );
    assert!(ledger.take(1, PeerId(2)).is_some());
    assert_eq!(
        hand_out_all(&mut ledger),
        [(2, 3), (2, 4)],
        "no suspect waits any more"
    );
}

#[test]
fn a_busy_peer_finishes_before_it_gets_a_suspect() {
    let mut ledger = ledger_with(1..=3);
    join(&mut ledger, 1, 1, 2);
    hand_out_all(&mut ledger);
    ledger.put(9, QUEUE, (), Position::Suspect(1));
    assert_eq!(hand_out_all(&mut ledger), []);
    ledger.take(1, PeerId(1));
    assert_eq!(
        hand_out_all(&mut ledger),
        [],
        "message 2 is still in flight"
    );
    ledger.take(2, PeerId(1));
    assert_eq!(hand_out_all(&mut ledger), [(1, 9)]);
    ledger.take(9, PeerId(1));
    assert_eq!(hand_out_all(&mut ledger), [(1, 3)]);
}

#[test]
fn a_promise_ends_with_the_consumer() {
    let mut ledger = ledger_with(1..=1);
    ledger.join(ConsumerId(7), PeerId(1), "pusher", 1);
    ledger.put(5, "pusher", (), Position::Tail);
    join(&mut ledger, 1, 1, 1);
    hand_out_all(&mut ledger);
    ledger.put(9, QUEUE, (), Position::Suspect(1));
    ledger.put(6, "pusher", (), Position::Tail);
    ledger.take(5, PeerId(1));
    assert_eq!(hand_out_all(&mut ledger), [], "promised to a busy peer");
    ledger.leave(ConsumerId(1));
    assert_eq!(hand_out_all(&mut ledger), [(7, 6)]);
}

#[test]
fn one_waiting_message_is_withdrawn_by_its_id() {
    let mut ledger = ledger_with(1..=3);
    ledger.put(4, QUEUE, (), Position::Suspect(1));
    ledger.put(5, QUEUE, (), Position::Delayed(Instant::now()));
    for (id, there) in [(2, true), (2, false), (4, true), (5, false), (9, false)] {
        assert_eq!(ledger.withdraw_one(QUEUE, id).is_some(), there, "{id}");
    }
    assert!(ledger.withdraw_one("pusher", 1).is_none(), "another queue");
    join(&mut ledger, 1, 1, 8);
    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (1, 3)]);
    assert!(ledger.withdraw_one(QUEUE, 1).is_none(), "it is in flight");
}
