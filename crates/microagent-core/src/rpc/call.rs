//! `bus.call(…)`: the first answer to a signal.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, warn};

use super::{
    Answer,
    chain::{self, CallScope},
    pending::{PendingCall, Reply},
};
use crate::{
    Bus, Channel, Error, ErrorKind, Result, SubscriberCount,
    clock::later,
    trace::{self, TraceContext},
};

/// The timeout of a call that does not set one.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A call that is sent when it is awaited and that completes with the first answer.
///
/// # Errors
/// Each cause of a call without an answer has its own kind:
///
/// - [`NoResponders`](ErrorKind::NoResponders), returned at once, if nobody listens;
/// - [`Timeout`](ErrorKind::Timeout);
/// - [`CallDepth`](ErrorKind::CallDepth);
/// - [`Unavailable`](ErrorKind::Unavailable) if the connection was lost;
/// - the errors of [`Bus::send`].
///
/// If a receiver failed, [`Answer::get`] and [`Answer::one`] return the error.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use microagent_core::{Bus, ErrorKind, MemoryBus};
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
/// let nobody = bus.call("web", CommentsCount {}).await.unwrap_err();
/// assert_eq!(nobody.kind(), ErrorKind::NoResponders);
///
/// let agent = Agent::new(Comments).bus(bus.clone()).start().await?; // its receiver `count` answers 3
/// let answer = bus.call("web", CommentsCount {}).timeout(Duration::from_secs(5)).await?;
/// assert_eq!(answer.get::<u64>("Comments.count")?, 3);
/// agent.stop().await
/// # }).unwrap();
/// ```
#[must_use = "a call is sent when it is awaited"]
pub struct Call(Request);

/// The common part of `call` and `waiter`.
pub(super) struct Request {
    pub(super) bus: Bus,
    pub(super) outgoing: Result<Outgoing>,
    pub(super) timeout: Duration,
    /// The handler that makes the call, if any.
    scope: Option<CallScope>,
    /// The context of the call's span, in a process with a subscriber for spans.
    trace: Option<TraceContext>,
}

/// A call to send, without its id.
pub(crate) struct Outgoing {
    pub(crate) prefix: String,
    pub(crate) signal: String,
    pub(crate) sender: String,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(bus: Bus, outgoing: Result<Outgoing>) -> Self {
        Self(Request::new(bus, outgoing))
    }

    /// Sets how long to wait for the first answer. Default: 60 s. In a receiver, a call never waits
    /// longer than the caller of that receiver does.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = timeout;
        self
    }

    async fn run(self) -> Result<Answer> {
        let mut request = self.0;
        let span = request.trace();
        let answer = request.first_answer().instrument(span.clone());
        let answered = request.bus.requests().counted(answer).await;
        trace::end(&span, &answered);
        answered
    }
}

impl Request {
    async fn first_answer(&self) -> Result<Answer> {
        let deadline = self.deadline();
        let (mut pending, outgoing, _) = self.send(deadline).await?;
        loop {
            match timeout_at(deadline, pending.replies.recv()).await {
                Ok(Some(Reply::Answer(body))) => match Answer::received(&body) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => warn!(signal = outgoing.signal, %error, "answer ignored"),
                },
                Ok(Some(Reply::Lost(reason))) => return Err(lost(&outgoing.signal, &reason)),
                Ok(None) => return Err(lost(&outgoing.signal, "the bus was closed")),
                Err(_) => return Err(self.timed_out(&outgoing.signal)),
            }
        }
    }

    pub(super) fn new(bus: Bus, outgoing: Result<Outgoing>) -> Self {
        Self {
            bus,
            outgoing,
            timeout: DEFAULT_TIMEOUT,
            scope: CallScope::current(),
            trace: None,
        }
    }

    /// Returns the span of the call, if a subscriber wants spans; its context travels in the id of the call.
    pub(super) fn trace(&mut self) -> Span {
        let (true, Ok(outgoing)) = (trace::is_enabled(), &self.outgoing) else {
            return Span::none();
        };
        let span = trace::call(self.bus.driver(), &outgoing.signal, outgoing.body.len());
        self.trace = trace::context_of(&span);
        span
    }

    /// Returns when this call stops waiting: after its timeout, or earlier if the caller of the
    /// handler that makes the call stops waiting earlier.
    pub(super) fn deadline(&self) -> Instant {
        let own = later(Instant::now(), self.timeout);
        let caller = self.scope.as_ref().and_then(CallScope::caller_waits_until);
        caller.map_or(own, |caller| caller.min(own))
    }

    fn timed_out(&self, signal: &str) -> Error {
        let caller = self.scope.as_ref().and_then(CallScope::caller_waits_until);
        let text = match (&self.scope, caller) {
            (Some(handler), Some(until)) if until <= Instant::now() => {
                format!("no answer to `{signal}` before the caller of `{handler}` stopped waiting")
            }
            _ => format!("no answer to `{signal}` within {:?}", self.timeout),
        };
        Error::new(ErrorKind::Timeout, text)
    }
}

impl Request {
    /// Publishes the call as soon as the subscription for its answers is live.
    pub(super) async fn send(
        &self,
        deadline: Instant,
    ) -> Result<(PendingCall, &Outgoing, SubscriberCount)> {
        let outgoing = self.outgoing.as_ref().map_err(Error::without_source)?;
        if deadline <= Instant::now() {
            return Err(self.timed_out(&outgoing.signal));
        }
        let sent = timeout_at(deadline, async {
            let driver = self.bus.driver();
            let calls = self.bus.calls();
            let suffix = || chain::id_suffix(self.scope.as_ref(), self.trace.as_ref(), deadline);
            let pending = calls.open(driver, &outgoing.prefix, suffix).await?;
            let channel = Channel {
                prefix: &outgoing.prefix,
                signal: &outgoing.signal,
                sender: &outgoing.sender,
                id: Some(&pending.id),
            };
            let subscribers = driver
                .publish(&channel.to_string(), outgoing.body.clone())
                .await?;
            Ok((pending, subscribers))
        });
        let (pending, subscribers) = sent
            .await
            .unwrap_or_else(|_| Err(self.timed_out(&outgoing.signal)))?;
        if subscribers.is_none() {
            return Err(Error::new(
                ErrorKind::NoResponders,
                format!("nobody listens to `{}`", outgoing.signal),
            ));
        }
        Ok((pending, outgoing, subscribers))
    }
}

fn lost(signal: &str, reason: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the connection was lost while waiting for an answer to `{signal}`: {reason}"),
    )
}

impl IntoFuture for Call {
    type Output = Result<Answer>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
