//! Messages that the server has sent and that nobody has taken yet.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

use super::session::{Place, Session};
use crate::message::Received;
use microagent_core::driver::lock;

/// One message, with the channel that can settle it.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) session: Arc<Session>,
    pub(super) tag: u64,
    pub(super) message: Arc<Received>,
}

/// The messages of one consumer.
#[derive(Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    /// A suspect, which is in flight from when it was taken out of its queue.
    suspect: Option<(Item, Place)>,
    ordinary: VecDeque<Item>,
    ended: bool,
}

/// The state of the buffer, for a reader.
pub(super) enum Found {
    Suspect(Item, Place),
    /// Ordinary messages, which are taken with [`Buffer::pop`].
    Ordinary,
    Nothing,
    End,
}

impl Buffer {
    pub(super) fn look(&self) -> Found {
        let mut state = lock(&self.state);
        match state.suspect.take() {
            _ if state.ended => Found::End,
            Some((item, place)) => Found::Suspect(item, place),
            None if state.ordinary.is_empty() => Found::Nothing,
            None => Found::Ordinary,
        }
    }

    pub(super) fn pop(&self) -> Option<Item> {
        lock(&self.state).ordinary.pop_front()
    }

    pub(super) fn push(&self, item: Item) {
        lock(&self.state).ordinary.push_back(item);
        self.changed.notify_waiters();
    }

    /// Puts a returned message at the head. Returns it if the consumer has ended.
    pub(super) fn push_front(&self, item: Item) -> Option<Item> {
        let mut state = lock(&self.state);
        if state.ended {
            return Some(item);
        }
        state.ordinary.push_front(item);
        drop(state);
        self.changed.notify_waiters();
        None
    }

    /// Adds a suspect. Returns it if the consumer has ended.
    pub(super) fn push_suspect(&self, item: Item, place: Place) -> Option<(Item, Place)> {
        let mut state = lock(&self.state);
        if state.ended {
            return Some((item, place));
        }
        state.suspect = Some((item, place));
        drop(state);
        self.changed.notify_waiters();
        None
    }

    /// Forgets the messages of a channel that has ended: the server delivers them again.
    pub(super) fn forget(&self, session: &Arc<Session>) {
        let mut state = lock(&self.state);
        state
            .ordinary
            .retain(|item| !Arc::ptr_eq(&item.session, session));
        let of_session = |(item, _): &(Item, Place)| Arc::ptr_eq(&item.session, session);
        let suspect = state.suspect.take_if(|held| of_session(held));
        drop((state, suspect));
    }

    /// Ends the stream and returns what nobody has taken: ordinary messages, and a suspect.
    pub(super) fn end(&self) -> (VecDeque<Item>, Option<(Item, Place)>) {
        let mut state = lock(&self.state);
        state.ended = true;
        let left = (std::mem::take(&mut state.ordinary), state.suspect.take());
        drop(state);
        self.changed.notify_waiters();
        left
    }
}
