//! The order of hand-outs, and the invariants under random operations.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::Instant;

use super::{ConsumerId, Handed, Ledger, MessageId, PeerId, Place};
use crate::Depth;

const QUEUE: &str = "mailer";

fn ledger_with(messages: std::ops::RangeInclusive<MessageId>) -> Ledger<()> {
    let mut ledger = Ledger::new();
    for id in messages {
        ledger.put(id, QUEUE, (), Place::Tail);
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
        ledger.put_back(id, entry, Place::Suspect(crashes));
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
fn what_comes_back_goes_first_in_the_order_of_arrival() {
    let mut ledger = ledger_with(1..=4);
    join(&mut ledger, 1, 1, 2);
    hand_out_all(&mut ledger);
    for id in [2, 1] {
        let entry = ledger.take(id, PeerId(1)).unwrap();
        ledger.put_back(id, entry, Place::Head);
    }
    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (1, 2)]);
}

#[test]
fn a_delayed_message_waits_outside_until_it_is_due() {
    let now = Instant::now();
    let due = now + Duration::from_secs(9);
    let mut ledger = ledger_with(2..=2);
    ledger.put(1, QUEUE, (), Place::Delayed(due));
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
    ledger.put(4, QUEUE, (), Place::Delayed(due));
    ledger.put(5, QUEUE, (), Place::Suspect(1));

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
    ledger.put(1, QUEUE, minute, Place::Delayed(now + hour));
    ledger.put(2, QUEUE, 2 * hour, Place::Delayed(now + minute));
    ledger.put(3, QUEUE, hour, Place::Tail);

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
    ledger.put(4, QUEUE, (), Place::Tail);
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
        ledger.put(id, QUEUE, (), Place::Tail);
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
    ledger.put(9, QUEUE, (), Place::Suspect(1));
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
    ledger.put(5, "pusher", (), Place::Tail);
    join(&mut ledger, 1, 1, 1);
    hand_out_all(&mut ledger);
    ledger.put(9, QUEUE, (), Place::Suspect(1));
    ledger.put(6, "pusher", (), Place::Tail);
    ledger.take(5, PeerId(1));
    assert_eq!(hand_out_all(&mut ledger), [], "promised to a busy peer");
    ledger.leave(ConsumerId(1));
    assert_eq!(hand_out_all(&mut ledger), [(7, 6)]);
}

#[test]
fn one_waiting_message_is_withdrawn_by_its_id() {
    let mut ledger = ledger_with(1..=3);
    ledger.put(4, QUEUE, (), Place::Suspect(1));
    ledger.put(5, QUEUE, (), Place::Delayed(Instant::now()));
    for (id, there) in [(2, true), (2, false), (4, true), (5, false), (9, false)] {
        assert_eq!(ledger.withdraw_one(QUEUE, id).is_some(), there, "{id}");
    }
    assert!(ledger.withdraw_one("pusher", 1).is_none(), "another queue");
    join(&mut ledger, 1, 1, 8);
    assert_eq!(hand_out_all(&mut ledger), [(1, 1), (1, 3)]);
    assert!(ledger.withdraw_one(QUEUE, 1).is_none(), "it is in flight");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    PutSuspect(u64),
    Join {
        peer: u64,
        queue: u64,
        credit: usize,
    },
    Leave(prop::sample::Index),
    Ack(prop::sample::Index),
    Return(prop::sample::Index),
    Delay(prop::sample::Index),
    Wake,
    Lose(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>();
    prop_oneof![
        6 => (0..2u64).prop_map(Step::Put),
        1 => (0..2u64).prop_map(Step::PutSuspect),
        2 => (0..3u64, 0..2u64, 1..4usize).prop_map(|(peer, queue, credit)| Step::Join { peer, queue, credit }),
        1 => index.clone().prop_map(Step::Leave),
        6 => index.clone().prop_map(Step::Ack),
        2 => index.clone().prop_map(Step::Return),
        1 => index.prop_map(Step::Delay),
        1 => Just(Step::Wake),
        1 => (0..3u64).prop_map(Step::Lose),
    ]
}

/// What the test knows without the ledger.
#[derive(Default)]
struct Model {
    ledger: Ledger<u32>,
    last: u64,
    alive: BTreeSet<MessageId>,
    in_flight: BTreeMap<MessageId, (ConsumerId, PeerId)>,
    consumers: BTreeMap<ConsumerId, (PeerId, usize)>,
}

fn queue_name(queue: u64) -> &'static str {
    ["mailer", "pusher"][usize::try_from(queue).unwrap()]
}

impl Model {
    fn put(&mut self, queue: u64, place: Place) {
        self.last += 1;
        self.alive.insert(self.last);
        self.ledger.put(self.last, queue_name(queue), 0, place);
    }

    fn settle(&mut self, which: &prop::sample::Index, place: Option<Place>) {
        if self.in_flight.is_empty() {
            return;
        }
        let (id, (_, peer)) = self
            .in_flight
            .iter()
            .nth(which.index(self.in_flight.len()))
            .map(|(a, b)| (*a, *b))
            .unwrap();
        let entry = self.ledger.take(id, peer).expect("in flight");
        self.in_flight.remove(&id);
        match place {
            Some(place) => self.ledger.put_back(id, entry, place),
            None => drop(self.alive.remove(&id)),
        }
    }

    fn apply(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Put(queue) => self.put(*queue, Place::Tail),
            Step::PutSuspect(queue) => self.put(*queue, Place::Suspect(1)),
            Step::Join {
                peer,
                queue,
                credit,
            } => {
                self.last += 1;
                let (consumer, peer) = (ConsumerId(self.last), PeerId(*peer));
                self.ledger
                    .join(consumer, peer, queue_name(*queue), *credit);
                self.consumers.insert(consumer, (peer, *credit));
            }
            Step::Leave(which) if !self.consumers.is_empty() => {
                let consumer = *self
                    .consumers
                    .keys()
                    .nth(which.index(self.consumers.len()))
                    .unwrap();
                self.consumers.remove(&consumer);
                self.ledger.leave(consumer);
            }
            Step::Leave(_) => {}
            Step::Ack(which) => self.settle(which, None),
            Step::Return(which) => self.settle(which, Some(Place::Head)),
            Step::Delay(which) => self.settle(which, Some(Place::Delayed(now))),
            Step::Wake => self.ledger.wake(now),
            Step::Lose(peer) => {
                for (id, entry) in self.ledger.lost(PeerId(*peer)) {
                    assert_eq!(
                        self.in_flight.remove(&id).map(|(_, peer)| peer),
                        Some(PeerId(*peer))
                    );
                    let crashes = entry.crashes + 1;
                    self.ledger.put_back(id, entry, Place::Suspect(crashes));
                }
                assert!(self.in_flight.values().all(|(_, holder)| holder.0 != *peer));
                self.consumers.retain(|_, (owner, _)| owner.0 != *peer);
            }
        }
    }

    fn accept(&mut self, handed: Handed) {
        let (peer, credit) = self.consumers[&handed.consumer];
        let before: Vec<_> = self
            .in_flight
            .iter()
            .filter(|(_, (_, holder))| *holder == peer)
            .map(|(id, _)| *id)
            .collect();
        let of_consumer = self
            .in_flight
            .values()
            .filter(|(consumer, _)| *consumer == handed.consumer)
            .count();
        let suspect = |id: &MessageId| self.ledger.get(*id).unwrap().crashes > 0;
        assert!(of_consumer < credit, "more than its credit");
        assert!(
            !suspect(&handed.id) || before.is_empty(),
            "a suspect is not alone"
        );
        assert!(!before.iter().any(suspect), "something beside a suspect");
        assert_eq!(
            self.in_flight.insert(handed.id, (handed.consumer, peer)),
            None,
            "handed out twice"
        );
        assert!(self.alive.contains(&handed.id));
    }

    /// The counts of all queues add up to what the model knows.
    fn check_depth(&self) {
        let depths = [0, 1].map(|queue| self.ledger.depth(queue_name(queue)));
        let sum = |count: fn(&Depth) -> Option<u64>| -> usize {
            let counts = depths.iter().filter_map(count);
            usize::try_from(counts.sum::<u64>()).unwrap()
        };
        let in_flight = sum(|depth| depth.in_flight);
        assert_eq!(in_flight, self.in_flight.len());
        let others = sum(|depth| depth.waiting) + sum(|depth| depth.delayed);
        assert_eq!(others + in_flight, self.alive.len());
    }
}

proptest! {
    #[test]
    fn every_message_is_in_one_place_and_none_is_lost(steps in prop::collection::vec(step(), 1..120)) {
        let (mut model, now) = (Model::default(), Instant::now());
        for step in &steps {
            model.apply(step, now);
            while let Some(handed) = model.ledger.hand_out() {
                model.accept(handed);
            }
            model.check_depth();
        }
        // One patient consumer per queue gets everything that is left, without any other event.
        for peer in 0..3 {
            model.apply(&Step::Lose(peer), now);
        }
        model.ledger.wake(now);
        for queue in 0..2 {
            model.apply(&Step::Join { peer: queue, queue, credit: 1 }, now);
        }
        while let Some(handed) = model.ledger.hand_out() {
            model.accept(handed);
            let (_, peer) = model.in_flight.remove(&handed.id).unwrap();
            prop_assert!(model.ledger.take(handed.id, peer).is_some());
            model.alive.remove(&handed.id);
        }
        prop_assert!(model.alive.is_empty(), "stranded: {:?}", model.alive);
    }
}
