//! Keeps a suspect alone: a message that was in flight when its consumer died is delivered when nothing
//! else of this process is in flight, and nothing is delivered beside it.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::lock;

/// Counts what one process has in flight over all its consumers, and lets a suspect in alone, as the
/// contract of [`QueueBroker`](crate::QueueBroker) asks. All consumers of a broker share one.
///
/// ```
/// use microagent_core::driver::SuspectGate;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let gate = SuspectGate::default();
/// gate.begin_take().await.found(1); // an ordinary message is in flight
/// gate.settled(); // and settled
///
/// let alone = gate.clear().await.expect("no other consumer waits for it");
/// alone.found_suspect(); // nothing else is taken until it is settled
/// gate.settled();
/// # });
/// ```
#[derive(Debug, Default)]
pub struct SuspectGate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Takes that are under way, whose messages are not counted yet.
    taking: usize,
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

impl SuspectGate {
    /// Waits until ordinary messages may be taken, and registers the take.
    pub async fn begin_take(&self) -> Taking<'_> {
        self.when(
            |state| state.suspicion == Suspicion::None,
            |state| state.taking += 1,
        )
        .await;
        Taking {
            gate: self,
            found: 0,
        }
    }

    /// Registers that a message is no longer in flight.
    pub fn settled(&self) {
        let mut state = self.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.suspicion == Suspicion::Held {
            state.suspicion = Suspicion::None;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until the process has nothing in flight. No other take begins until the returned guard is
    /// dropped. Returns `None` at once if another consumer waits for that already, or holds a suspect.
    pub async fn clear(&self) -> Option<Cleared<'_>> {
        {
            let mut state = self.state();
            if state.suspicion != Suspicion::None {
                return None;
            }
            state.suspicion = Suspicion::Awaited;
        }
        let cleared = Cleared {
            gate: self,
            has_suspect: false,
        };
        self.when(|state| state.taking == 0 && state.in_flight == 0, |_| {})
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
        lock(&self.state)
    }
}

/// A take from a queue. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "the take ends when this is dropped"]
pub struct Taking<'a> {
    gate: &'a SuspectGate,
    found: usize,
}

impl Taking<'_> {
    /// Ends the take with this many messages, which are in flight now.
    pub fn found(mut self, messages: usize) {
        self.found = messages;
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.taking -= 1;
        state.in_flight += self.found;
        drop(state);
        self.gate.changed.notify_waiters();
    }
}

/// A process with nothing in flight. It stays so until this is dropped.
#[derive(Debug)]
#[must_use = "other takes begin when this is dropped"]
pub struct Cleared<'a> {
    gate: &'a SuspectGate,
    has_suspect: bool,
}

impl Cleared<'_> {
    /// Registers that a suspect is in flight now; nothing is taken beside it.
    pub fn found_suspect(mut self) {
        self.has_suspect = true;
    }
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.in_flight += usize::from(self.has_suspect);
        state.suspicion = if self.has_suspect {
            Suspicion::Held
        } else {
            Suspicion::None
        };
        drop(state);
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_suspect_waits_for_the_rest_and_the_rest_for_it() {
        let gate = SuspectGate::default();
        gate.begin_take().await.found(2);

        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none(), "two are in flight");
        assert!(
            gate.begin_take().now_or_never().is_none(),
            "nothing more is taken"
        );
        assert!(gate.clear().await.is_none(), "one waits already");
        gate.settled();
        gate.settled();
        clear.now_or_never().flatten().unwrap().found_suspect();
        assert!(
            gate.begin_take().now_or_never().is_none(),
            "the suspect is alone"
        );
        gate.settled();
        assert!(gate.begin_take().now_or_never().is_some());
    }

    #[tokio::test]
    async fn without_a_suspect_everything_goes_on() {
        let gate = SuspectGate::default();
        drop(gate.clear().await);
        assert!(gate.begin_take().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_cleared_gate_that_is_given_up_blocks_nobody() {
        let gate = SuspectGate::default();
        drop(gate.begin_take().await);
        gate.begin_take().await.found(1);
        let mut clear = Box::pin(gate.clear());
        assert!((&mut clear).now_or_never().is_none());
        drop(clear);
        assert!(gate.begin_take().now_or_never().is_some());
        gate.settled();
        assert!(gate.clear().now_or_never().flatten().is_some());
    }
}
