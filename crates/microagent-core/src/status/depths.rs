//! The numbers of the consumed queues, as the broker answered last.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::{Broker, Depth, Queue, Result, driver::lock, shortened};

/// The broker is not asked again before this time has passed, whoever asks.
const FRESH: Duration = Duration::from_millis(500);

/// The longest time for an answer of the broker.
const PATIENCE: Duration = Duration::from_secs(2);

/// The numbers of all queues that an agent consumes.
#[derive(Debug, Default)]
pub(crate) struct QueueDepths {
    queues: Mutex<Vec<Arc<QueueDepth>>>,
    /// When the broker was asked last. Locked while it is asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// The numbers of one queue.
#[derive(Debug)]
pub(crate) struct QueueDepth {
    pub(super) queue: Queue,
    pub(super) dead_letters: Option<Queue>,
    last: Mutex<LastAnswer>,
}

/// The last answer of the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAnswer {
    pub(super) depth: Option<Depth>,
    pub(super) dead: Option<u64>,
    pub(super) at: Option<Instant>,
    /// Why there is no newer answer.
    pub(super) error: Option<String>,
}

impl QueueDepths {
    /// Adds a queue that is consumed.
    pub(crate) fn add(&self, queue: Queue, dead_letters: Option<Queue>) {
        let added = QueueDepth {
            queue,
            dead_letters,
            last: Mutex::default(),
        };
        lock(&self.queues).push(Arc::new(added));
    }

    pub(super) fn all(&self) -> Vec<Arc<QueueDepth>> {
        lock(&self.queues).clone()
    }

    /// Asks the broker about all queues, unless that was done a moment ago.
    pub(super) async fn refresh(&self, broker: Option<&Broker>) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return;
        }
        if let Some(broker) = broker {
            let queues = self.all();
            join_all(queues.iter().map(|queue| queue.refresh(broker))).await;
        }
        *asked = Some(Instant::now());
    }
}

impl QueueDepth {
    pub(super) fn last(&self) -> LastAnswer {
        lock(&self.last).clone()
    }

    async fn refresh(&self, broker: &Broker) {
        let answer = match broker.connection() {
            // A driver may wait for its connection, and the answer is known.
            Some(connection) if !connection.up => Err(connection
                .last_error
                .unwrap_or_else(|| "not connected".to_owned())),
            _ => match timeout(PATIENCE, self.ask(broker)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("the broker did not answer within {PATIENCE:?}")),
            },
        };
        let mut last = lock(&self.last);
        match answer {
            Ok((depth, dead)) => {
                *last = LastAnswer {
                    depth: Some(depth),
                    dead,
                    at: Some(Instant::now()),
                    error: None,
                }
            }
            Err(error) => last.error = Some(shortened(error)),
        }
    }

    async fn ask(&self, broker: &Broker) -> Result<(Depth, Option<u64>)> {
        let depth = broker.depth(&self.queue).await?;
        let dead = match &self.dead_letters {
            Some(dead_letters) => Some(broker.length(dead_letters).await?),
            None => None,
        };
        Ok((depth, dead))
    }
}
