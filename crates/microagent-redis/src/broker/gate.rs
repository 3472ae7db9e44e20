//! Room for suspects: a message whose consumer died runs when nothing else of its process is in flight, and alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What one process has in flight, over all its consumers.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Looks into queues that are under way, whose finds are not counted yet.
    looking: usize,
    in_flight: usize,
    suspicion: Suspicion,
}

#[derive(Debug, Default, PartialEq)]
enum Suspicion {
    #[default]
    None,
    /// A consumer waits for the process to have nothing in flight.
    Awaited,
    /// A suspect is in flight, alone.
    Held,
}

impl Gate {
    /// Waits until ordinary messages may be taken, and announces a look into a queue, which [`found`](Self::found) ends.
    pub(super) async fn look(&self) {
        self.when(
            |state| state.suspicion == Suspicion::None,
            |state| state.looking += 1,
        )
        .await;
    }

    /// A look has found so many messages, which are in flight now.
    pub(super) fn found(&self, messages: usize) {
        let mut state = self.state();
        state.looking -= 1;
        state.in_flight += messages;
        drop(state);
        self.changed.notify_waiters();
    }

    /// A message is not in flight any more.
    pub(super) fn landed(&self) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.suspicion == Suspicion::Held {
            state.suspicion = Suspicion::None;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until the process has nothing in flight; nothing is taken from now on until [`decided`](Self::decided). False
    /// at once when another consumer waits for that already.
    pub(super) async fn clear(&self) -> bool {
        {
            let mut state = self.state();
            if state.suspicion != Suspicion::None {
                return false;
            }
            state.suspicion = Suspicion::Awaited;
        }
        self.when(|state| state.looking == 0 && state.in_flight == 0, |_| {})
            .await;
        true
    }

    /// The process that was cleared has got a suspect, or there was none left.
    pub(super) fn decided(&self, got_one: bool) {
        let mut state = self.state();
        state.in_flight += usize::from(got_one);
        state.suspicion = if got_one {
            Suspicion::Held
        } else {
            Suspicion::None
        };
        drop(state);
        self.changed.notify_waiters();
    }

    async fn when(&self, is: impl Fn(&State) -> bool, then: impl FnOnce(&mut State)) {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if is(&state) {
                    then(&mut state);
                    return;
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_suspect_waits_for_the_rest_and_the_rest_for_it() {
        let gate = Gate::default();
        gate.look().await;
        gate.found(2);

        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none(), "two are in flight");
        assert!(
            gate.look().now_or_never().is_none(),
            "nothing more is taken"
        );
        assert!(!gate.clear().await, "one waits already");
        gate.landed();
        gate.landed();
        assert_eq!(clear.now_or_never(), Some(true));

        gate.decided(true);
        assert!(gate.look().now_or_never().is_none(), "the suspect is alone");
        gate.landed();
        assert!(gate.look().now_or_never().is_some());
    }

    #[tokio::test]
    async fn without_a_suspect_everything_goes_on() {
        let gate = Gate::default();
        assert!(gate.clear().await);
        gate.decided(false);
        assert!(gate.look().now_or_never().is_some());
    }
}
