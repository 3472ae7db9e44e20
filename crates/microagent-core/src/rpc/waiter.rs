//! `bus.waiter(…)`: all answers to a signal, until every subscriber answered or the deadline
//! passed.

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use tokio::time::{Sleep, sleep_until};
use tracing::{Instrument, warn};

use super::{
    Answer,
    call::{Outgoing, Request},
    pending::{PendingCall, Reply},
};
use crate::{Bus, Result, SubscriberCount, trace};

/// A call for several answers that is sent when it is awaited.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use microagent_core::{Bus, MemoryBus};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = Bus::new(Arc::new(MemoryBus::new()));
/// let wait = bus.undeclared("comments_count")?.waiter("shell", &json!({})).timeout(Duration::from_secs(5));
/// assert_eq!(wait.await.unwrap_err().kind(), microagent_core::ErrorKind::NoResponders);
/// # Ok::<(), microagent_core::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// The same as for [`Call`](crate::Call), except for the timeout, which is not an error but an
/// [end](WaiterEnd::Deadline) of the answers.
#[must_use = "a call is sent when it is awaited"]
pub struct Wait(Request);

impl Wait {
    pub(crate) fn new(bus: Bus, outgoing: Result<Outgoing>) -> Self {
        Self(Request::new(bus, outgoing))
    }

    /// Sets how long to wait for answers. Default: 60 s. In a receiver, the wait is never longer
    /// than that of the caller of the receiver.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    async fn run(self) -> Result<Waiter> {
        let mut request = self.0;
        let span = request.trace();
        let deadline = request.deadline();
        let sent = request.send(deadline).instrument(span.clone()).await;
        trace::end(&span, &sent);
        let (pending, _, subscribers) = sent?;
        Ok(Waiter {
            _bus: request.bus.clone(),
            pending,
            deadline: Box::pin(sleep_until(deadline)),
            subscribers: match subscribers {
                SubscriberCount::Counted(count) => Some(count),
                SubscriberCount::Unknown => None,
            },
            answered: 0,
            end: None,
        })
    }
}

impl IntoFuture for Wait {
    type Output = Result<Waiter>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}

/// The answers to one call, one per answering process; also a [`Stream`].
///
/// ```
/// use std::sync::Arc;
/// use microagent_core::{Bus, MemoryBus, WaiterEnd};
/// # use microagent_core::{Agent, HandlerReply, Blueprint, Context, MicroAgent, ReceiverOptions, Result, Signal, SignalDeclaration};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct CommentsCount {}
/// # impl Signal for CommentsCount {
/// #     const NAME: &'static str = "comments_count";
/// #     fn declaration() -> &'static SignalDeclaration {
/// #         static DECLARED: std::sync::LazyLock<SignalDeclaration> =
/// #             std::sync::LazyLock::new(|| SignalDeclaration::untyped("comments_count", [""; 0]));
/// #         &DECLARED
/// #     }
/// # }
/// # struct Comments;
/// # impl MicroAgent for Comments {
/// #     const NAME: &'static str = "Comments";
/// #     fn blueprint() -> Blueprint<Self> {
/// #         Blueprint::new().receiver::<CommentsCount>("count", ReceiverOptions::default(), |_, _| {
/// #             Ok(Box::pin(async { HandlerReply::of(&3) }))
/// #         })
/// #     }
/// #     async fn create(_cx: &Context) -> Result<Self> { Ok(Self) }
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let bus = Bus::new(Arc::new(MemoryBus::new()));
/// let agent = Agent::new(Comments).bus(bus.clone()).start().await?; // its receiver `count` answers 3
///
/// let mut answers = bus.waiter("web", CommentsCount {}).await?;
/// while let Some(answer) = answers.next().await {
///     assert_eq!(answer.one::<u64>()?, 3);
/// }
/// assert_eq!((answers.answered(), answers.end()), (1, Some(&WaiterEnd::Complete)));
/// agent.stop().await
/// # }).unwrap();
/// ```
pub struct Waiter {
    /// Keeps the bus alive, because answers are received only as long as it lives.
    _bus: Bus,
    pending: PendingCall,
    deadline: Pin<Box<Sleep>>,
    subscribers: Option<u64>,
    answered: u64,
    end: Option<WaiterEnd>,
}

/// The reason why no more answers come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaiterEnd {
    /// The number of answers reached the number of subscribers that received the call.
    Complete,
    /// The deadline passed.
    Deadline {
        /// The number of subscribers that received the call and did not answer, if the server
        /// counts subscribers. Not all of them have to be responders: a subscriber that only
        /// listens is counted as well.
        missing: Option<u64>,
    },
    /// The connection was lost; answers may have been missed.
    Lost {
        /// The reason why the connection was lost.
        reason: String,
        /// The number of subscribers that received the call and did not answer, if the server
        /// counts subscribers.
        missing: Option<u64>,
    },
}

impl Waiter {
    /// Returns the next answer, or `None` when no more come. [`end`](Self::end) then returns the
    /// reason.
    pub async fn next(&mut self) -> Option<Answer> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Returns the reason why no more answers come, or `None` while more may come.
    #[must_use]
    pub fn end(&self) -> Option<&WaiterEnd> {
        self.end.as_ref()
    }

    /// Returns the number of answers received so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered
    }

    fn missing(&self) -> Option<u64> {
        Some(self.subscribers?.saturating_sub(self.answered))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<WaiterEnd> {
        if self.missing() == Some(0) {
            return Poll::Ready(WaiterEnd::Complete);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(WaiterEnd::Deadline {
            missing: self.missing(),
        })
    }

    fn lost(&self, reason: String) -> WaiterEnd {
        WaiterEnd::Lost {
            reason,
            missing: self.missing(),
        }
    }
}

impl Stream for Waiter {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        while self.end.is_none() {
            match self.pending.replies.poll_recv(cx) {
                Poll::Ready(Some(Reply::Answer(body))) => {
                    self.answered += 1;
                    match Answer::received(&body) {
                        Ok(answer) => return Poll::Ready(Some(answer)),
                        Err(error) => warn!(%error, "answer ignored"),
                    }
                }
                Poll::Ready(Some(Reply::Lost(reason))) => self.end = Some(self.lost(reason)),
                Poll::Ready(None) => self.end = Some(self.lost("the bus was closed".to_owned())),
                Poll::Pending => self.end = Some(ready!(self.poll_end(cx))),
            }
        }
        Poll::Ready(None)
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("subscribers", &self.subscribers)
            .field("answered", &self.answered)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
