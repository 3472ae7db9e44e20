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
    /// Waits until ordinary messages may be taken, and announces a look into a queue.
    pub(super) async fn look(&self) -> Looking<'_> {
        self.when(
            |state| state.suspicion == Suspicion::None,
            |state| state.looking += 1,
        )
        .await;
        Looking(self, 0)
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

    /// Waits until the process has nothing in flight; nothing is taken from now on until what this returns is dropped. None
    /// at once when another consumer waits for that already.
    pub(super) async fn clear(&self) -> Option<Cleared<'_>> {
        {
            let mut state = self.state();
            if state.suspicion != Suspicion::None {
                return None;
            }
            state.suspicion = Suspicion::Awaited;
        }
        let cleared = Cleared(self, false);
        self.when(|state| state.looking == 0 && state.in_flight == 0, |_| {})
            .await;
        Some(cleared)
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

/// A look into a queue; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Looking<'a>(&'a Gate, usize);

impl Looking<'_> {
    /// It has found so many messages, which are in flight now.
    pub(super) fn found(mut self, messages: usize) {
        self.1 = messages;
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.looking -= 1;
        state.in_flight += self.1;
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// A process that is kept clear for a suspect, until this is dropped.
#[derive(Debug)]
pub(super) struct Cleared<'a>(&'a Gate, bool);

impl Cleared<'_> {
    /// There was a suspect, which is in flight now.
    pub(super) fn got_one(mut self) {
        self.1 = true;
    }
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight += usize::from(self.1);
        state.suspicion = if self.1 {
            Suspicion::Held
        } else {
            Suspicion::None
        };
        drop(state);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_suspect_waits_for_the_rest_and_the_rest_for_it() {
        let gate = Gate::default();
        gate.look().await.found(2);

        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none(), "two are in flight");
        assert!(
            gate.look().now_or_never().is_none(),
            "nothing more is taken"
        );
        assert!(gate.clear().await.is_none(), "one waits already");
        gate.landed();
        gate.landed();
        clear.now_or_never().flatten().unwrap().got_one();
        assert!(gate.look().now_or_never().is_none(), "the suspect is alone");
        gate.landed();
        assert!(gate.look().now_or_never().is_some());
    }

    #[tokio::test]
    async fn without_a_suspect_everything_goes_on() {
        let gate = Gate::default();
        drop(gate.clear().await);
        assert!(gate.look().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_given_up_on_holds_nobody_up() {
        let gate = Gate::default();
        drop(gate.look().await);
        gate.look().await.found(1);
        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none());
        drop(clear);
        assert!(gate.look().now_or_never().is_some());
        gate.landed();
        assert!(gate.clear().now_or_never().flatten().is_some());
    }
}
