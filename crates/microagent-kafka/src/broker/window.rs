//! The messages of one partition that were read and are not finished, and which of them may be delivered.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    iter,
    sync::Arc,
    time::SystemTime,
};

use microagent_core::Message;

use crate::{Note, Tracker};

/// Unfinished messages. Of the messages with one key only the first is a candidate.
#[derive(Debug, Default)]
pub(super) struct Window {
    held: HashMap<i64, Held>,
    /// The offsets of each key, the first of which is the candidate.
    keys: HashMap<Arc<[u8]>, VecDeque<i64>>,
    /// Messages that are ready since they were read, in their order.
    fresh: VecDeque<i64>,
    /// Other messages that are ready.
    ready: BTreeSet<i64>,
    suspects: BTreeSet<i64>,
    /// Candidates that wait for their retry, by its time.
    delayed: BTreeSet<(SystemTime, i64)>,
    in_flight: usize,
}

#[derive(Debug)]
struct Held {
    message: Message,
    key: Option<Arc<[u8]>>,
    is_in_flight: bool,
    /// The last commit says that the next attempt at this failed message has begun.
    is_started: bool,
}

impl Window {
    /// Adds a message behind the last one.
    pub(super) fn push(
        &mut self,
        offset: i64,
        message: Message,
        key: Option<&[u8]>,
        tracker: &Tracker,
    ) {
        let key: Option<Arc<[u8]>> = key.map(Arc::from);
        let is_first = key.as_ref().is_none_or(|key| {
            let offsets = self.keys.entry(Arc::clone(key)).or_default();
            offsets.push_back(offset);
            offsets.len() == 1
        });
        let held = Held {
            message,
            key,
            is_in_flight: false,
            is_started: false,
        };
        self.held.insert(offset, held);
        if is_first && tracker.note(offset).is_none() {
            self.fresh.push_back(offset);
        } else if is_first {
            self.become_candidate(offset, tracker);
        }
    }

    fn become_candidate(&mut self, offset: i64, tracker: &Tracker) {
        match tracker.note(offset).and_then(Note::due) {
            Some(due) => drop(self.delayed.insert((due, offset))),
            None => self.become_ready(offset, tracker),
        }
    }

    fn become_ready(&mut self, offset: i64, tracker: &Tracker) {
        let ready = if tracker.is_suspect(offset) {
            &mut self.suspects
        } else {
            &mut self.ready
        };
        ready.insert(offset);
    }

    /// Makes the messages ready whose retry is due.
    pub(super) fn wake(&mut self, now: SystemTime, tracker: &Tracker) {
        while let Some((due, offset)) = self.delayed.first().copied() {
            if due > now {
                return;
            }
            self.delayed.pop_first();
            self.become_ready(offset, tracker);
        }
    }

    /// Returns the time of the next retry.
    pub(super) fn next_due(&self) -> Option<SystemTime> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Returns the messages that may be delivered beside others, in their order.
    pub(super) fn ready(&self) -> impl Iterator<Item = i64> + '_ {
        let mut fresh = self.fresh.iter().copied().peekable();
        let mut others = self.ready.iter().copied().peekable();
        iter::from_fn(move || match (fresh.peek(), others.peek()) {
            (Some(first), Some(other)) if other < first => others.next(),
            (Some(_), _) => fresh.next(),
            (None, _) => others.next(),
        })
    }

    pub(super) fn count_ready(&self) -> usize {
        self.fresh.len() + self.ready.len()
    }

    /// Returns the number of all messages.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Returns the first suspect that may be delivered.
    pub(super) fn suspect(&self) -> Option<i64> {
        self.suspects.first().copied()
    }

    /// Returns the last message in flight.
    pub(super) fn last_in_flight(&self) -> Option<i64> {
        let in_flight = self.held.iter().filter(|(_, held)| held.is_in_flight);
        in_flight.map(|(offset, _)| *offset).max()
    }

    pub(super) fn count_in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn is_started(&self, offset: i64) -> bool {
        self.held.get(&offset).is_some_and(|held| held.is_started)
    }

    /// Registers that a commit says that the next attempt at this message has begun.
    pub(super) fn start(&mut self, offset: i64) {
        if let Some(held) = self.held.get_mut(&offset) {
            held.is_started = true;
        }
    }

    /// Registers that a message is in flight, and returns it.
    pub(super) fn take(&mut self, offset: i64) -> Option<Message> {
        if !self.take_ready(offset) && !self.suspects.remove(&offset) {
            return None;
        }
        let held = self.held.get_mut(&offset)?;
        held.is_in_flight = true;
        self.in_flight += 1;
        Some(held.message.clone())
    }

    fn take_ready(&mut self, offset: i64) -> bool {
        if self.fresh.front() == Some(&offset) {
            self.fresh.pop_front();
            return true;
        }
        let place = self.fresh.binary_search(&offset);
        self.ready.remove(&offset) || place.is_ok_and(|place| self.fresh.remove(place).is_some())
    }

    /// Removes a message that is finished. The next one of its key is a candidate then.
    pub(super) fn finish(&mut self, offset: i64, tracker: &Tracker) {
        let Some(held) = self.held.remove(&offset) else {
            return;
        };
        self.in_flight -= usize::from(held.is_in_flight);
        let Some(key) = held.key else {
            return;
        };
        let Some(offsets) = self.keys.get_mut(&key) else {
            return;
        };
        offsets.pop_front();
        match offsets.front().copied() {
            Some(next) => self.become_candidate(next, tracker),
            None => drop(self.keys.remove(&key)),
        }
    }

    /// Registers that a message is no longer in flight. It is a candidate again.
    pub(super) fn give_back(&mut self, offset: i64, tracker: &Tracker) {
        let held = self.held.get_mut(&offset);
        if let Some(held) = held.filter(|held| held.is_in_flight) {
            (held.is_in_flight, held.is_started) = (false, false);
            self.in_flight -= 1;
            self.become_candidate(offset, tracker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    struct Fixture {
        tracker: Tracker,
        window: Window,
    }

    impl Fixture {
        fn new(keys: &[Option<&str>]) -> Self {
            let mut fixture = Self {
                tracker: Tracker::new(0),
                window: Window::default(),
            };
            for (offset, key) in (0..).zip(keys) {
                fixture.tracker.read(offset);
                let message = Message::new("jobs", "a");
                let key = key.map(str::as_bytes);
                fixture.window.push(offset, message, key, &fixture.tracker);
            }
            fixture
        }

        fn ready(&self) -> Vec<i64> {
            self.window.ready().collect()
        }

        fn finish(&mut self, offset: i64) {
            self.tracker.finish(offset);
            self.window.finish(offset, &self.tracker);
        }
    }

    #[test]
    fn of_each_key_the_first_message_is_ready() {
        let mut it = Fixture::new(&[Some("a"), Some("a"), None, Some("b"), None, Some("a")]);
        assert_eq!(it.ready(), [0, 2, 3, 4]);
        assert!(it.window.take(0).is_some() && it.window.take(1).is_none());
        assert_eq!(it.ready(), [2, 3, 4]);
        it.finish(0);
        assert_eq!(it.ready(), [1, 2, 3, 4]);
        it.window.take(1);
        it.window.give_back(1, &it.tracker);
        assert_eq!(it.ready(), [1, 2, 3, 4], "it is still the first one");
        for offset in [1, 5] {
            it.window.take(offset);
            it.finish(offset);
        }
        assert_eq!(it.ready(), [2, 3, 4]);
        assert!(!it.window.keys.contains_key(b"a".as_slice()));
    }

    #[test]
    fn a_failed_message_keeps_back_its_key_until_it_is_due() {
        let mut it = Fixture::new(&[Some("a"), Some("a"), Some("b")]);
        it.window.take(0);
        let now = UNIX_EPOCH + Duration::from_secs(5);
        it.tracker.fail(0, now, Duration::from_secs(1));
        it.window.give_back(0, &it.tracker);
        assert_eq!(it.ready(), [2]);
        let due = it.window.next_due().unwrap();
        it.window.wake(due - Duration::from_millis(1), &it.tracker);
        assert_eq!(it.ready(), [2]);
        it.window.wake(due, &it.tracker);
        assert_eq!((it.ready(), it.window.next_due()), (vec![0, 2], None));
    }

    #[test]
    fn a_suspect_is_not_ready_beside_others() {
        let mut dead = Tracker::new(0);
        (0..2).for_each(|offset| assert!(dead.read(offset)));
        dead.open(1);
        let mut it = Fixture {
            tracker: Tracker::restored(0, &dead.metadata().unwrap()),
            window: Window::default(),
        };
        for offset in 0..2 {
            it.tracker.read(offset);
            it.window
                .push(offset, Message::new("jobs", "a"), None, &it.tracker);
        }
        assert_eq!((it.ready(), it.window.suspect()), (vec![1], Some(0)));
        assert!(it.window.take(0).is_some());
        assert_eq!(
            (it.window.suspect(), it.window.last_in_flight()),
            (None, Some(0))
        );
    }
}
