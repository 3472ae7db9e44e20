//! Counters of what became of each handler's runs. They only count; who reads them is not their business.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Map, Value, json};

use crate::driver::lock;

/// The counters of one handler.
#[derive(Debug, Default)]
pub(crate) struct HandlerStats {
    name: String,
    pub(crate) done: Counter,
    pub(crate) failed: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) panicked: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) dropped: Counter,
    pub(crate) dead_lettered: Counter,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number, and starts again at 0.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl HandlerStats {
    fn to_json(&self) -> Value {
        let counters = [
            ("done", &self.done),
            ("failed", &self.failed),
            ("timed_out", &self.timed_out),
            ("panicked", &self.panicked),
            ("undecodable", &self.undecodable),
            ("dropped", &self.dropped),
            ("dead_lettered", &self.dead_lettered),
        ];
        let values: Map<String, Value> = counters
            .into_iter()
            .filter(|(name, counter)| *name == "done" || counter.get() > 0)
            .map(|(name, counter)| (name.to_owned(), json!(counter.get())))
            .collect();
        Value::Object(values)
    }
}

/// The counters of one agent.
#[derive(Debug, Default)]
pub(crate) struct AgentStats {
    handlers: Mutex<Vec<Arc<HandlerStats>>>,
    pub(crate) gaps: Counter,
}

impl AgentStats {
    /// The counters of this handler, made on first use.
    pub(crate) fn handler(&self, name: &str) -> Arc<HandlerStats> {
        let mut handlers = lock(&self.handlers);
        if let Some(known) = handlers.iter().find(|known| known.name == name) {
            return Arc::clone(known);
        }
        let stats = Arc::new(HandlerStats {
            name: name.to_owned(),
            ..HandlerStats::default()
        });
        handlers.push(Arc::clone(&stats));
        stats
    }

    /// With what its bus counts: signals that nobody can be told of.
    pub(crate) fn to_json(&self, strays: u64) -> Value {
        let handlers = lock(&self.handlers);
        let mut values: Map<String, Value> = handlers
            .iter()
            .map(|stats| (stats.name.clone(), stats.to_json()))
            .collect();
        for (name, count) in [("gaps", self.gaps.get()), ("strays", strays)] {
            if count > 0 {
                values.insert(name.to_owned(), json!(count));
            }
        }
        Value::Object(values)
    }
}
