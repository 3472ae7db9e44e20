//! The events that the thread of a consumer waits for, and the settlements, which it takes many at a time.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use microagent_core::driver::lock;

use super::Event;
use crate::broker::settle::Settling;

/// The sending end. It has no limit: what may be in flight is limited.
#[derive(Default)]
pub(in crate::broker) struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    taken: Taken,
    /// Somebody has called [`Inbox::wake`].
    is_woken: bool,
    /// The thread waits until there are so many settlements, or an event. 0 if it does not wait.
    enough: usize,
    has_ended: bool,
}

/// Events and settlements that have arrived.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) events: Vec<Event>,
    pub(super) settled: Vec<Settling>,
}

impl Inbox {
    pub(in crate::broker) fn send(&self, event: Event) {
        let mut state = lock(&self.state);
        if !state.has_ended {
            state.taken.events.push(event);
            self.end_wait(&mut state);
        }
    }

    /// Lets the thread look at the client, and at what has to stop.
    pub(in crate::broker) fn wake(&self) {
        let mut state = lock(&self.state);
        state.is_woken = true;
        self.end_wait(&mut state);
    }

    /// Hands a settlement over. If the thread has ended, the dropped sender says that nothing was settled.
    pub(in crate::broker) fn settle(&self, settling: Settling) {
        let mut state = lock(&self.state);
        if state.has_ended {
            drop(state);
            return drop(settling);
        }
        state.taken.settled.push(settling);
        if state.taken.settled.len() == state.enough {
            self.end_wait(&mut state);
        }
    }

    fn end_wait(&self, state: &mut State) {
        if std::mem::take(&mut state.enough) > 0 {
            self.arrived.notify_one();
        }
    }
}

/// The receiving end, of which there is one. Nothing is taken when it is gone.
pub(super) struct Arrivals(pub(super) Arc<Inbox>);

impl Arrivals {
    /// Waits for an event or for so many settlements, no longer than this, and takes what has arrived.
    pub(super) fn wait(&self, pause: Duration, enough: usize, taken: &mut Taken) {
        let mut state = lock(&self.0.state);
        let deadline = Instant::now() + pause;
        loop {
            let has_arrived = state.is_woken
                || !state.taken.events.is_empty()
                || state.taken.settled.len() >= enough.max(1);
            let left = deadline.saturating_duration_since(Instant::now());
            if has_arrived || left.is_zero() {
                break;
            }
            state.enough = enough.max(1);
            let waited = self.0.arrived.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (state.enough, state.is_woken) = (0, false);
        std::mem::swap(&mut state.taken, taken);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.has_ended = true;
        let rest = std::mem::take(&mut state.taken);
        // Their callers may use the inbox.
        drop(state);
        drop(rest);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use microagent_core::Result;
    use tokio::sync::oneshot;

    use super::*;
    use crate::broker::settle::Fate;

    const LONG: Duration = Duration::from_secs(60);

    fn settling(offset: i64) -> (Settling, oneshot::Receiver<Result<()>>) {
        let (done, end) = oneshot::channel();
        let settling = Settling {
            partition: 0,
            epoch: 1,
            offset,
            fate: Fate::Finish,
            slot: None,
            done,
        };
        (settling, end)
    }

    /// Waits on another thread, and returns how many settlements and events it took.
    fn waiting(inbox: &Arc<Inbox>, enough: usize) -> thread::JoinHandle<(usize, usize)> {
        let arrivals = Arrivals(Arc::clone(inbox));
        thread::spawn(move || {
            let mut taken = Taken::default();
            let began = Instant::now();
            arrivals.wait(LONG, enough, &mut taken);
            assert!(began.elapsed() < LONG, "nobody ended the wait");
            (taken.settled.len(), taken.events.len())
        })
    }

    #[test]
    fn enough_settlements_or_an_event_end_the_wait() {
        let inbox = Arc::<Inbox>::default();
        let waits = waiting(&inbox, 3);
        for offset in 0..3 {
            inbox.settle(settling(offset).0);
        }
        assert_eq!(waits.join().unwrap(), (3, 0));
        let inbox = Arc::<Inbox>::default();
        inbox.settle(settling(0).0);
        let waits = waiting(&inbox, 3);
        inbox.send(Event::Close);
        assert_eq!(waits.join().unwrap(), (1, 1));
        let inbox = Arc::<Inbox>::default();
        inbox.wake();
        assert_eq!(waiting(&inbox, 1).join().unwrap(), (0, 0));
    }

    #[test]
    fn without_its_thread_nothing_is_settled() {
        let inbox = Arc::<Inbox>::default();
        let (first, mut of_first) = settling(0);
        inbox.settle(first);
        drop(Arrivals(Arc::clone(&inbox)));
        let (second, mut of_second) = settling(1);
        inbox.settle(second);
        inbox.send(Event::Crowded);
        for end in [&mut of_first, &mut of_second] {
            assert_eq!(
                end.try_recv().unwrap_err(),
                oneshot::error::TryRecvError::Closed
            );
        }
    }
}
