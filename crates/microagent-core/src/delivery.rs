//! The handle that settles a message exactly once.
//!
//! Drivers construct deliveries and carry settlements out; what the settlement *is* decides
//! [`dispatch::outcome`](crate::dispatch), never a driver.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{Error, ErrorKind, Message, Result, driver::lock, shortened};

/// Why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// The body cannot be decoded into what the handler asks for.
    Undecodable,
    /// The handler said that no retry can help.
    Terminal,
    /// The last attempt failed.
    Failed,
    /// The last attempt timed out.
    Timeout,
    /// The last attempt panicked.
    Panic,
    /// Its consumers died with it too often.
    Crash,
    /// A handler with manual acknowledgement said so.
    Rejected,
}

impl DeadReason {
    /// The word that is stored with the dead letter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Terminal => "terminal",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::Crash => "crash",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a driver does with a delivery. The message is in one place before and after. At no time is it in no place;
/// if the server cannot move a message in one step, a crash may leave it in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Handled: remove it.
    Ack,
    /// Deliver it again after the delay, as attempt n + 1. It stays durable meanwhile, outside the waiting list.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Why, for people who look at the message.
        reason: String,
    },
    /// Move it to this queue, which is created if it does not exist, with the reason, the detail and the attempt count as headers.
    DeadLetter {
        /// The queue that keeps the dead letters.
        queue: String,
        /// The class of the reason.
        reason: DeadReason,
        /// The error's own words.
        detail: String,
    },
    /// Not handled and nobody's fault (drain, stop): back to the head of the queue as the same attempt.
    Return,
}

impl Settlement {
    fn shortened(self) -> Self {
        match self {
            Self::Retry { after, reason } => Self::Retry {
                after,
                reason: shortened(reason),
            },
            Self::DeadLetter {
                queue,
                reason,
                detail,
            } => Self::DeadLetter {
                queue,
                reason,
                detail: shortened(detail),
            },
            other => other,
        }
    }
}

/// The driver's side of one delivery.
pub trait Settle: Send + Sync + 'static {
    /// Carries the settlement out. The call itself must not block or wait: it hands the settlement over, and the
    /// returned [`SettleFuture`] resolves when the broker has confirmed it. Drivers batch behind this call.
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture;
}

/// Resolves when the broker has confirmed a settlement.
#[derive(Debug)]
pub struct SettleFuture(State);

#[derive(Debug)]
enum State {
    Done(Option<Result<()>>),
    Waiting(oneshot::Receiver<Result<()>>),
}

impl SettleFuture {
    /// A settlement that is already over.
    #[must_use]
    pub fn done(result: Result<()>) -> Self {
        Self(State::Done(Some(result)))
    }

    /// A settlement whose end is told through a channel; a dropped sender is [`ErrorKind::Unavailable`].
    #[must_use]
    pub fn waiting(end: oneshot::Receiver<Result<()>>) -> Self {
        Self(State::Waiting(end))
    }

    /// Returns the result if there was nothing to wait for.
    pub(crate) fn result(self) -> std::result::Result<Result<()>, Self> {
        match self.0 {
            State::Done(result) => Ok(result.unwrap_or(Ok(()))),
            State::Waiting(_) => Err(self),
        }
    }
}

impl Future for SettleFuture {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Done(result) => Poll::Ready(result.take().unwrap_or(Ok(()))),
            State::Waiting(end) => Pin::new(end).poll(cx).map(|told| {
                told.unwrap_or_else(|_| {
                    Err(Error::new(
                        ErrorKind::Unavailable,
                        "the connection ended before the settlement was confirmed; the message may be delivered again",
                    ))
                })
            }),
        }
    }
}

/// One message out of a queue, to be settled exactly once. Every settling method takes it by value, so a
/// second one does not compile; dropped unsettled it goes back to its queue (while its handler runs: it is
/// settled by the handler's result, like any other).
///
/// ```
/// use std::time::Duration;
/// use futures_util::StreamExt;
/// use microagent_core::{ConsumeOptions, MemoryBroker, Queue, QueueBroker};
///
/// const MAILER: Queue = Queue::new("mailer");
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let broker = MemoryBroker::new();
/// broker.send(&MAILER.into(), "{}".into(), Default::default()).await?;
/// let mut mails = broker.consume(&MAILER, ConsumeOptions::default()).await?;
///
/// let first = mails.next().await.expect("the broker is open");
/// first.retry(Duration::ZERO).await?;
/// let second = mails.next().await.expect("the broker is open");
/// assert_eq!(second.message().attempt(), 2);
/// second.dead_letter("nobody wants it").await?;
/// assert_eq!(broker.length(&Queue::new("mailer.dead")).await?, 1);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
pub struct Delivery {
    message: Message,
    settle: Option<Box<dyn Settle>>,
    dead_letter: Option<Arc<str>>,
    lender: Option<Lender>,
    on_dead_letter: Option<OnDeadLetter>,
}

/// Is told of a dead letter that the handler asks for itself: the message, and why.
pub(crate) type OnDeadLetter = Box<dyn Fn(&Message, &Settlement) + Send + Sync>;

/// Where a delivery that was lent to a handler goes when the handler drops it unsettled.
#[derive(Clone, Default)]
pub(crate) struct Lender(Arc<Mutex<Loan>>);

#[derive(Default)]
enum Loan {
    /// The handler runs, and has it or has settled it.
    #[default]
    Out,
    /// The handler has dropped it.
    Back(Box<dyn Settle>),
    /// The handler has ended: whoever still has it settles it alone.
    Over,
}

impl Lender {
    /// The delivery as the dispatcher gets it back when the handler has ended, unless that settled or kept it.
    pub(crate) fn reclaim(&self, message: Message) -> Option<Delivery> {
        match std::mem::replace(&mut *self.loan(), Loan::Over) {
            Loan::Back(settle) => Some(Delivery::new(message, settle)),
            Loan::Out | Loan::Over => None,
        }
    }

    /// Takes a dropped delivery back; gives it back itself when nobody waits for it any more.
    fn give_back(&self, settle: Box<dyn Settle>) -> Option<Box<dyn Settle>> {
        let mut loan = self.loan();
        if matches!(*loan, Loan::Over) {
            return Some(settle);
        }
        *loan = Loan::Back(settle);
        None
    }

    fn loan(&self) -> MutexGuard<'_, Loan> {
        lock(&self.0)
    }
}

impl Delivery {
    /// A delivery as a driver makes it.
    #[must_use]
    pub fn new(message: Message, settle: Box<dyn Settle>) -> Self {
        Self {
            message,
            settle: Some(settle),
            dead_letter: None,
            lender: None,
            on_dead_letter: None,
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Handled: the message is gone when this returns `Ok`.
    ///
    /// # Errors
    /// When the broker did not confirm; the message may then be delivered again.
    pub async fn ack(self) -> Result<()> {
        self.settle(Settlement::Ack).await
    }

    /// Deliver it again after the delay, as the next attempt.
    ///
    /// # Errors
    /// When the broker did not confirm; the message may then be delivered again at once.
    pub async fn retry(self, after: Duration) -> Result<()> {
        let reason = "asked for by the handler".to_owned();
        self.settle(Settlement::Retry { after, reason }).await
    }

    /// Park it as a dead letter with this reason.
    ///
    /// # Errors
    /// When the broker did not confirm; the message may then be delivered again.
    pub async fn dead_letter(self, detail: impl Into<String>) -> Result<()> {
        let queue = self.dead_letter_queue();
        let (reason, detail) = (DeadReason::Rejected, detail.into());
        self.settle(Settlement::DeadLetter {
            queue,
            reason,
            detail,
        })
        .await
    }

    /// Hands the settlement to the driver at once; await the result to know that it was confirmed. A reason or a detail of
    /// more than [`TEXT_LIMIT`](crate::TEXT_LIMIT) bytes is shortened.
    pub fn settle(mut self, settlement: Settlement) -> SettleFuture {
        let Some(settle) = self.settle.take() else {
            return SettleFuture::done(Ok(()));
        };
        let settlement = settlement.shortened();
        if let (Some(report), Settlement::DeadLetter { .. }) = (&self.on_dead_letter, &settlement) {
            report(&self.message, &settlement);
        }
        settle.settle(&self.message, settlement)
    }

    /// Prepares the delivery for a handler that settles by hand.
    pub(crate) fn lend(
        &mut self,
        dead_letter: Option<Arc<str>>,
        on_dead_letter: OnDeadLetter,
    ) -> Lender {
        let lender = Lender::default();
        self.on_dead_letter = Some(on_dead_letter);
        self.dead_letter = dead_letter;
        self.lender = Some(lender.clone());
        lender
    }

    fn dead_letter_queue(&self) -> String {
        match &self.dead_letter {
            Some(queue) => queue.to_string(),
            None => format!(
                "{}{}",
                self.message.queue(),
                crate::queue::DEAD_LETTER_SUFFIX
            ),
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some(settle) = self.settle.take() else {
            return;
        };
        let unwanted = match &self.lender {
            Some(lender) => lender.give_back(settle),
            None => Some(settle),
        };
        if let Some(settle) = unwanted {
            // Fire and forget: the driver flushes settlements when it closes.
            drop(settle.settle(&self.message, crate::dispatch::outcome::abandoned()));
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("settled", &self.settle.is_none())
            .finish_non_exhaustive()
    }
}
