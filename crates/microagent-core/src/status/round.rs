//! Requests of other threads to the agent's runtime, which show whether it still runs tasks.
//!
//! At most one task waits to run, however many requests a blocked runtime has not come round to.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::driver::lock;

/// The requests to one runtime.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The number of requests.
    asked: u64,
    /// The last request that a task has begun with.
    came: u64,
    /// The last request that a task has finished.
    finished: u64,
    /// A task has been started and has not begun.
    is_started: bool,
}

/// A task that has not begun. If it is dropped, the next request starts another one.
pub(super) struct Ticket(Rounds);

/// The requests that a task works for.
pub(super) struct Round {
    rounds: Rounds,
    upto: u64,
}

impl Rounds {
    /// Waits until a task that began after this call has finished, at most `within`. Returns whether one has begun. `start`
    /// starts it.
    pub(super) fn ask(&self, within: Duration, start: impl FnOnce(Ticket)) -> bool {
        let mut state = lock(&self.0.state);
        state.asked += 1;
        let own = state.asked;
        if !std::mem::replace(&mut state.is_started, true) {
            drop(state);
            start(Ticket(self.clone()));
            state = lock(&self.0.state);
        }
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, within, |state| state.finished < own);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.came >= own
    }
}

impl Ticket {
    /// Notes that the task has begun.
    pub(super) fn came(self) -> Round {
        let rounds = self.0.clone();
        let upto = {
            let mut state = lock(&rounds.0.state);
            state.came = state.asked;
            state.asked
        };
        // Dropping the ticket lets the next request start another task.
        drop(self);
        Round { rounds, upto }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.0.0.state).is_started = false;
    }
}

impl Round {
    /// Notes that the task has finished.
    pub(super) fn finished(self) {
        let mut state = lock(&self.rounds.0.state);
        state.finished = state.finished.max(self.upto);
        self.rounds.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn requests_that_wait_for_a_blocked_runtime_share_one_task() {
        let rounds = Rounds::default();
        let (started, tickets) = channel();
        let mut count = 0;
        for _ in 0..100 {
            let start = |ticket| {
                count += 1;
                started.send(ticket).unwrap();
            };
            assert!(!rounds.ask(Duration::ZERO, start));
        }
        assert_eq!(count, 1);
        // The runtime comes round, for all of them.
        tickets.recv().unwrap().came().finished();
        assert!(rounds.ask(PATIENCE, |ticket| ticket.came().finished()));
    }

    #[test]
    fn a_task_that_has_begun_shows_that_the_runtime_is_not_blocked() {
        let rounds = Rounds::default();
        let mut unfinished = None;
        let began = rounds.ask(Duration::ZERO, |ticket| unfinished = Some(ticket.came()));
        assert!(began && unfinished.is_some());
    }

    #[test]
    fn a_runtime_that_was_shut_down_keeps_no_request_from_the_next() {
        let rounds = Rounds::default();
        assert!(!rounds.ask(Duration::ZERO, drop));
        assert!(rounds.ask(PATIENCE, |ticket| ticket.came().finished()));
    }
}
