//! The handle that settles a message exactly once.
//!
//! Drivers construct deliveries and carry out settlements. [`dispatch::outcome`](crate::dispatch) decides *which*
//! settlement a delivery gets; a driver never does.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    Error, ErrorKind, Message, Result,
    driver::lock,
    shortened,
    trace::{OpenSettle, SettleTrace},
};

/// The reason why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// The body cannot be decoded into the type that the handler asks for.
    Undecodable,
    /// The handler reported that no retry can help.
    Terminal,
    /// The last attempt failed.
    Failed,
    /// The last attempt timed out.
    Timeout,
    /// The last attempt panicked.
    Panic,
    /// Its consumers died too often while it was in flight.
    Crash,
    /// A handler with manual acknowledgement rejected the message.
    Rejected,
}

impl DeadReason {
    /// Returns the word that is stored with the dead letter.
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

/// The action that a driver takes on a delivery. The message is in one place before and after, and it is always in at
/// least one place. If the server cannot move a message in one step, a crash may leave it in two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The message was handled: remove it.
    Ack,
    /// Deliver the message again after the delay, as attempt n + 1. Until then it stays durable, outside the waiting list.
    Retry {
        /// The delay before the next attempt.
        after: Duration,
        /// The reason, for people who look at the message.
        reason: String,
    },
    /// Move the message to this queue, which is created if it does not exist, with the reason, the detail and the attempt
    /// count as headers.
    DeadLetter {
        /// The queue that keeps the dead letters.
        queue: String,
        /// The class of the reason.
        reason: DeadReason,
        /// The text of the error.
        detail: String,
    },
    /// The message was not handled, without an error (drain, stop): put it back at the head of the queue, as the same
    /// attempt.
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
    /// Carries out the settlement. The call itself must not block or wait: it hands over the settlement, and the
    /// returned [`SettleFuture`] resolves when the broker has confirmed the settlement. Drivers batch behind this call.
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture;
}

/// A future that resolves when the broker has confirmed a settlement.
#[derive(Debug)]
pub struct SettleFuture {
    state: State,
    /// The span that ends with the settlement, in a process with a subscriber for spans.
    span: OpenSettle,
}

#[derive(Debug)]
enum State {
    Done(Option<Result<()>>),
    Waiting(oneshot::Receiver<Result<()>>),
}

impl SettleFuture {
    /// Creates a future for a settlement that has already ended with this result.
    #[must_use]
    pub fn done(result: Result<()>) -> Self {
        Self::of(State::Done(Some(result)))
    }

    /// Creates a future for a settlement whose result arrives through a channel. If the sender is dropped, the result is
    /// [`ErrorKind::Unavailable`].
    #[must_use]
    pub fn waiting(end: oneshot::Receiver<Result<()>>) -> Self {
        Self::of(State::Waiting(end))
    }

    fn of(state: State) -> Self {
        Self {
            state,
            span: OpenSettle::default(),
        }
    }

    /// Returns the result if there was nothing to wait for.
    pub(crate) fn result(mut self) -> std::result::Result<Result<()>, Self> {
        let State::Done(result) = &mut self.state else {
            return Err(self);
        };
        let result = result.take().unwrap_or(Ok(()));
        self.span.end(&result);
        Ok(result)
    }
}

impl Future for SettleFuture {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match &mut self.state {
            State::Done(result) => result.take().unwrap_or(Ok(())),
            State::Waiting(end) => ready!(Pin::new(end).poll(cx)).unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Unavailable,
                    "the connection ended before the settlement was confirmed; the message may be delivered again",
                ))
            }),
        };
        self.span.end(&result);
        Poll::Ready(result)
    }
}

/// One message out of a queue, to be settled exactly once. Every settling method takes the delivery by value, so a
/// second settlement does not compile. If a delivery is dropped unsettled, the message goes back to its queue. If it is
/// dropped while its handler runs, the handler's result settles it, as for any other delivery.
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
    /// The place of its settlement in a trace, in a process with a subscriber for spans.
    trace: Option<Box<SettleTrace>>,
}

/// A callback for a dead letter that the handler itself asks for. Its arguments are the message and the settlement.
pub(crate) type OnDeadLetter = Box<dyn Fn(&Message, &Settlement) + Send + Sync>;

/// The place to which a delivery that was lent to a handler returns when the handler drops it unsettled.
#[derive(Clone, Default)]
pub(crate) struct Lender(Arc<Mutex<Loan>>);

#[derive(Default)]
enum Loan {
    /// The handler runs, and has the delivery or has settled it.
    #[default]
    Out,
    /// The handler has dropped the delivery.
    Back(Box<dyn Settle>),
    /// The handler has ended: the current owner of the delivery settles it, without the dispatcher.
    Over,
}

impl Lender {
    /// Returns the delivery to the dispatcher when the handler has ended, unless the handler settled or kept it.
    pub(crate) fn reclaim(&self, message: Message) -> Option<Delivery> {
        match std::mem::replace(&mut *self.loan(), Loan::Over) {
            Loan::Back(settle) => Some(Delivery::new(message, settle)),
            Loan::Out | Loan::Over => None,
        }
    }

    /// Takes back a dropped delivery. Returns `settle` if the handler has ended and the dispatcher no longer waits for
    /// the delivery.
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
    /// Creates a delivery. Drivers call this method.
    #[must_use]
    pub fn new(message: Message, settle: Box<dyn Settle>) -> Self {
        Self {
            message,
            settle: Some(settle),
            dead_letter: None,
            lender: None,
            on_dead_letter: None,
            trace: None,
        }
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Acknowledges the message: it is removed when this returns `Ok`.
    ///
    /// # Errors
    /// Fails if the broker did not confirm; the message may then be delivered again.
    pub async fn ack(self) -> Result<()> {
        self.settle(Settlement::Ack).await
    }

    /// Asks for another delivery after the delay, as the next attempt.
    ///
    /// # Errors
    /// Fails if the broker did not confirm; the message may then be delivered again at once.
    pub async fn retry(self, after: Duration) -> Result<()> {
        let reason = "asked for by the handler".to_owned();
        self.settle(Settlement::Retry { after, reason }).await
    }

    /// Moves the message to the dead letters with this reason.
    ///
    /// # Errors
    /// Fails if the broker did not confirm; the message may then be delivered again.
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

    /// Hands the settlement to the driver at once. Await the result to know that the broker confirmed the settlement. A
    /// reason or a detail of more than [`TEXT_LIMIT`](crate::TEXT_LIMIT) bytes is shortened.
    pub fn settle(mut self, settlement: Settlement) -> SettleFuture {
        let Some(settle) = self.settle.take() else {
            return SettleFuture::done(Ok(()));
        };
        let settlement = settlement.shortened();
        if let (Some(report), Settlement::DeadLetter { .. }) = (&self.on_dead_letter, &settlement) {
            report(&self.message, &settlement);
        }
        let Some(trace) = &self.trace else {
            return settle.settle(&self.message, settlement);
        };
        let span = trace.span(&self.message, &settlement);
        let mut settled = span.in_scope(|| settle.settle(&self.message, settlement));
        settled.span = OpenSettle::new(span);
        settled
    }

    /// Returns the place of its settlement in a trace.
    pub(crate) fn trace(&self) -> Option<Box<SettleTrace>> {
        self.trace.clone()
    }

    /// Sets the place of its settlement in a trace.
    pub(crate) fn set_trace(&mut self, trace: Option<Box<SettleTrace>>) {
        self.trace = trace;
    }

    /// Prepares the delivery for a handler with manual acknowledgement.
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
            // Not awaited: the driver flushes settlements when it closes.
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
