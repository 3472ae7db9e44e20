//! The behaviour of agents at run time, through the public API, on `memory://`, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod call_chains;
mod calls;
mod checks;
mod clocks;
mod cut_off;
mod failures;
mod growing;
mod life;
mod log;
mod log_lines;
mod odd_payloads;
mod once;
mod places;
mod queues;
mod requests;
mod schedules;
mod sending;
mod servers;
mod settling;
mod signals;
mod status;
mod stopping;
mod together;
mod unwatched;
mod warnings;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::prelude::*;

/// A signal that most of these agents hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Signal)]
pub(crate) struct UserCreated {
    pub(crate) user_id: u64,
}

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
pub(crate) struct CommentsCount {
    pub(crate) user_id: u64,
}

/// The queue of these tests.
pub(crate) const MAILER: Queue = Queue::new("mailer");

/// The queue of its dead letters.
pub(crate) const MAILER_DEAD: Queue = Queue::new("mailer.dead");

/// The notes of handlers, in their order; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn write(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl fmt::Debug for Diary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// A bus of its own.
pub(crate) async fn bus() -> Bus {
    Bus::connect("memory://").await.unwrap()
}

/// A broker of its own.
pub(crate) async fn broker() -> Broker {
    Broker::connect("memory://").await.unwrap()
}

/// Lets everything happen that can happen without time passing, and then so much time pass.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    // A paused clock moves only when nothing else is left to do, so this lets what is due now run to its end.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Milliseconds of virtual time since `began`, without those that `pass` adds.
pub(crate) fn seconds_since(began: tokio::time::Instant) -> u64 {
    began.elapsed().as_secs()
}
