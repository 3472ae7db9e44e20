//! The calls of one bus that still wait for answers, and the subscription that receives the
//! answers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::debug;

use crate::{
    BusEvent, Channel, Error, ErrorKind, Result, SignalBus, driver::lock, shortened, stats::Counter,
};

/// The time that a call waits for the lost subscription for its answers to be live again, before
/// the call fails without being sent.
const LIVE_AGAIN: Duration = Duration::from_secs(1);

/// An event for a waiting call.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Bytes),
    /// The connection for the answers was lost. Contains the reason.
    Lost(String),
}

/// The waiting calls of one bus.
pub(crate) struct Calls {
    token: String,
    last: AtomicU64,
    waiting: Arc<Waiting>,
    listening: tokio::sync::Mutex<HashMap<String, Listening>>,
}

/// The subscription for the answers under one prefix.
struct Listening {
    task: JoinHandle<()>,
    /// The reason of the loss, while the subscription is lost.
    lost: watch::Receiver<Option<String>>,
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

    /// Registers a call, whose id ends with the result of `suffix`. The subscription for its
    /// answers is live when this function returns.
    ///
    /// # Errors
    /// Returns the errors of the subscription and of `suffix`, and [`ErrorKind::Unavailable`] if
    /// the subscription is lost and not live again within a second.
    pub(crate) async fn open(
        &self,
        driver: &dyn SignalBus,
        prefix: &str,
        suffix: impl Fn() -> Result<String>,
    ) -> Result<PendingCall> {
        let mut lost = self.listen(driver, prefix).await?;
        loop {
            // The call is registered before the check, so that a loss after this line ends it.
            let call = self.register(&suffix()?);
            if lost.borrow().is_none() {
                return Ok(call);
            }
            drop(call);
            wait_until_live(&mut lost).await?;
        }
    }

    fn register(&self, suffix: &str) -> PendingCall {
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

    /// Returns the number of calls that are waiting now.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Returns the number of answers to calls that were no longer waiting.
    pub(crate) fn late(&self) -> u64 {
        self.waiting.late.get()
    }

    async fn listen(
        &self,
        driver: &dyn SignalBus,
        prefix: &str,
    ) -> Result<watch::Receiver<Option<String>>> {
        let mut listening = self.listening.lock().await;
        if let Some(known) = listening.get(prefix)
            && !known.task.is_finished()
        {
            return Ok(known.lost.clone());
        }
        let pattern = Channel::answers_to(prefix, &self.token);
        let mut events = driver.subscribe(&pattern).await?;
        let waiting = Arc::clone(&self.waiting);
        let (tell, lost) = watch::channel(None);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                // No call is registered between a loss and the end of the gap, because it would
                // wait for an answer that is missed.
                if let BusEvent::Lost(reason) = &event {
                    tell.send_replace(Some(reason.clone()));
                }
                let is_live_again = matches!(event, BusEvent::Gap(_));
                waiting.hear(event);
                if is_live_again {
                    tell.send_replace(None);
                }
            }
            waiting.lose("the bus was closed");
        });
        let listener = Listening {
            task,
            lost: lost.clone(),
        };
        listening.insert(prefix.to_owned(), listener);
        Ok(lost)
    }
}

/// Waits until the subscription is live again.
///
/// # Errors
/// Returns [`ErrorKind::Unavailable`] after a second, with the reason of the loss.
async fn wait_until_live(lost: &mut watch::Receiver<Option<String>>) -> Result<()> {
    let live = lost.wait_for(Option::is_none);
    // A closed channel means that the subscription has ended: no answer could be received.
    if matches!(timeout(LIVE_AGAIN, live).await, Ok(Ok(_))) {
        return Ok(());
    }
    let reason = lost.borrow().clone().unwrap_or_default();
    let text = format!("the call was not sent: the subscription for its answer is lost: {reason}");
    Err(Error::new(ErrorKind::Unavailable, text))
}

impl Drop for Calls {
    fn drop(&mut self) {
        for listening in self.listening.get_mut().values() {
            listening.task.abort();
        }
    }
}

impl Waiting {
    fn hear(&self, event: BusEvent) {
        match event {
            BusEvent::Message(answer) => {
                let id = Channel::parse(&answer.channel).and_then(|channel| channel.id);
                let delivered = id.is_some_and(|id| match self.lock().get(id) {
                    Some(call) => call.send(Reply::Answer(answer.payload)).is_ok(),
                    None => false,
                });
                if !delivered {
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
        lock(&self.calls)
    }
}

/// One waiting call. Dropping it ends the wait.
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
