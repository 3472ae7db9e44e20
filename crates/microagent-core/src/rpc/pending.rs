//! The calls of one bus that still wait for answers, and the subscription that hears them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{sync::mpsc, task::JoinHandle};
use tracing::debug;

use crate::{BusEvent, Channel, Result, SignalBus, shortened, stats::Counter};

/// What a waiting call is told.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Bytes),
    /// The connection on which an answer would have come is gone.
    Lost(String),
}

/// The waiting calls of one bus.
pub(crate) struct Calls {
    token: String,
    last: AtomicU64,
    waiting: Arc<Waiting>,
    listening: tokio::sync::Mutex<HashMap<String, JoinHandle<()>>>,
}

#[derive(Default)]
struct Waiting {
    calls: Mutex<HashMap<String, mpsc::UnboundedSender<Reply>>>,
    late: Counter,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self {
            token: format!("{:016x}", fastrand::u64(..)),
            last: AtomicU64::new(0),
            waiting: Arc::default(),
            listening: tokio::sync::Mutex::default(),
        }
    }

    /// Registers a call, whose id ends with `suffix`.
    pub(crate) fn open(&self, suffix: &str) -> PendingCall {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}{suffix}", self.token);
        let (tell, replies) = mpsc::unbounded_channel();
        self.waiting.lock().insert(id.clone(), tell);
        PendingCall {
            id,
            replies,
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// How many calls wait now.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.lock().len()
    }

    /// How many answers came for calls that waited no more.
    pub(crate) fn late(&self) -> u64 {
        self.waiting.late.get()
    }

    /// Subscribes to the answers on this prefix, once; they are received when this returns.
    pub(crate) async fn listen(&self, driver: &dyn SignalBus, prefix: &str) -> Result<()> {
        let mut listening = self.listening.lock().await;
        if listening
            .get(prefix)
            .is_some_and(|task| !task.is_finished())
        {
            return Ok(());
        }
        let pattern = Channel::answers_to(prefix, &self.token);
        let mut events = driver.subscribe(&pattern).await?;
        let waiting = Arc::clone(&self.waiting);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                waiting.hear(event);
            }
            waiting.lose("the bus was closed");
        });
        listening.insert(prefix.to_owned(), task);
        Ok(())
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        for task in self.listening.get_mut().values() {
            task.abort();
        }
    }
}

impl Waiting {
    fn hear(&self, event: BusEvent) {
        match event {
            BusEvent::Message(answer) => {
                let id = Channel::parse(&answer.channel).and_then(|channel| channel.id);
                let told = id.is_some_and(|id| match self.lock().get(id) {
                    Some(call) => call.send(Reply::Answer(answer.payload)).is_ok(),
                    None => false,
                });
                if !told {
                    self.late.count();
                    debug!(
                        channel = shortened(answer.channel),
                        "answer to a call that waits no more"
                    );
                }
            }
            BusEvent::Lost(reason) => self.lose(&reason),
            BusEvent::Gap(gap) => self.lose(&gap.reason),
        }
    }

    fn lose(&self, reason: &str) {
        for (_, call) in self.lock().drain() {
            drop(call.send(Reply::Lost(reason.to_owned())));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<Reply>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call that waits; dropped, it waits no more.
pub(crate) struct PendingCall {
    pub(crate) id: String,
    pub(crate) replies: mpsc::UnboundedReceiver<Reply>,
    waiting: Arc<Waiting>,
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.id);
    }
}
