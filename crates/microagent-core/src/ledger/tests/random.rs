//! Tests of the ledger's invariants under random operations.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

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
    Withdraw(u64, usize),
    WithdrawOne(u64, prop::sample::Index),
    Remove(prop::sample::Index),
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
        1 => index.clone().prop_map(Step::Delay),
        1 => (0..2u64, 0..3usize).prop_map(|(queue, limit)| Step::Withdraw(queue, limit)),
        1 => (0..2u64, index.clone()).prop_map(|(queue, which)| Step::WithdrawOne(queue, which)),
        1 => index.prop_map(Step::Remove),
        1 => Just(Step::Wake),
        1 => (0..3u64).prop_map(Step::Lose),
    ]
}

/// The state that the test expects, kept without the ledger.
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
    fn put(&mut self, queue: u64, place: Position) {
        self.last += 1;
        self.alive.insert(self.last);
        self.ledger.put(self.last, queue_name(queue), 0, place);
    }

    fn settle(&mut self, which: &prop::sample::Index, place: Option<Position>) {
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

    /// Returns one of the messages that the model holds.
    fn any(&self, which: &prop::sample::Index) -> Option<MessageId> {
        let count = self.alive.len();
        (count > 0).then(|| self.alive.iter().nth(which.index(count)).copied())?
    }

    /// Records that a message was taken out that was not in flight.
    fn gone(&mut self, id: MessageId) {
        assert!(!self.in_flight.contains_key(&id), "it is in flight");
        assert!(self.alive.remove(&id), "it was gone before");
    }

    fn apply(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Put(queue) => self.put(*queue, Position::Tail),
            Step::PutSuspect(queue) => self.put(*queue, Position::Suspect(1)),
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
            Step::Return(which) => self.settle(which, Some(Position::Head)),
            Step::Delay(which) => self.settle(which, Some(Position::Delayed(now))),
            Step::Wake => self.ledger.wake(now),
            Step::Withdraw(queue, limit) => {
                for (id, _) in self.ledger.withdraw(queue_name(*queue), *limit) {
                    self.gone(id);
                }
            }
            Step::WithdrawOne(queue, which) => {
                let Some(id) = self.any(which) else { return };
                if self.ledger.withdraw_one(queue_name(*queue), id).is_some() {
                    self.gone(id);
                }
            }
            Step::Remove(which) => {
                let Some(id) = self.any(which) else { return };
                let removed = self.ledger.remove(id).is_some();
                assert_eq!(removed, !self.in_flight.contains_key(&id));
                if removed {
                    self.gone(id);
                }
            }
            Step::Lose(peer) => {
                for (id, entry) in self.ledger.lost(PeerId(*peer)) {
                    assert_eq!(
                        self.in_flight.remove(&id).map(|(_, peer)| peer),
                        Some(PeerId(*peer))
                    );
                    let crashes = entry.crashes + 1;
                    self.ledger.put_back(id, entry, Position::Suspect(crashes));
                }
                assert!(self.in_flight.values().all(|(_, holder)| holder.0 != *peer));
                self.consumers.retain(|_, (owner, _)| owner.0 != *peer);
            }
        }
    }

    fn accept(&mut self, handed: HandOut) {
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

    /// Checks that the counts of all queues add up to the counts of the model.
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
        // One consumer per queue gets all remaining messages, without any other event.
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
