//! The effect of `#[agent]` on a method: every rule of the guide's page about handlers, on `memory://`, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod building;
mod hooks;
mod options;
mod overrides;
mod parameters;
mod returns;
mod whole;

use std::sync::{Arc, Mutex};

use microagent::prelude::*;

/// A signal with a field that may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Signal)]
pub(crate) struct UserCreated {
    pub(crate) user_id: u64,
    pub(crate) email: Option<String>,
}

/// A signal that has one field in common with [`UserCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Signal)]
pub(crate) struct UserDeleted {
    pub(crate) user_id: u64,
}

/// The queue of these tests.
pub(crate) const MAILER: Queue = Queue::new("mailer");

/// The notes of handlers, in their order; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// Returns the notes so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The same, sorted: handlers of one signal run beside each other.
    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut seen = self.all();
        seen.sort();
        seen
    }
}

/// Starts an agent on a bus and a broker of its own.
pub(crate) async fn start<A: MicroAgent>(agent: A) -> (RunningAgent<A>, Bus, Broker) {
    let bus = Bus::connect("memory://").await.unwrap();
    let broker = Broker::connect("memory://").await.unwrap();
    let agent = Agent::new(agent).bus(bus.clone()).broker(broker.clone());
    (agent.start().await.unwrap(), bus, broker)
}

/// Lets everything happen that is due now: paused time moves only when nothing else is left to do.
pub(crate) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}
