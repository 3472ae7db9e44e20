//! One run of one handler, fenced: its deadline, its panic and the end of the grace period have no effect outside of this file.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, CatchUnwind},
};
use pin_project_lite::pin_project;
use tokio::{
    task::{coop::consume_budget, unconstrained},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{Span, error, warn};

use super::polled;
use crate::{
    Error, Result,
    clock::later,
    rpc::{CallScope, Caller},
    shortened,
    stats::HandlerStats,
};

/// The end of a run.
#[derive(Debug)]
pub(crate) enum End<T> {
    Done(T),
    Failed(Error),
    TimedOut(Duration),
    Panicked(String),
    Undecodable(Error),
    /// Cut off because the agent's grace was over.
    Abandoned,
    /// A call that was not started, because its caller had stopped waiting.
    Unneeded,
}

impl<T> End<T> {
    /// Returns a short text of the failure; `None` for a run that did not fail.
    pub(crate) fn failure(&self) -> Option<String> {
        let text = match self {
            Self::Done(_) | Self::Abandoned | Self::Unneeded => return None,
            Self::Failed(error) | Self::Undecodable(error) => error.to_string(),
            Self::TimedOut(limit) => format!("timed out after {limit:?}"),
            Self::Panicked(text) => format!("panicked: {text}"),
        };
        Some(shortened(text))
    }
}

/// The handler that ran, for the log.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) agent: &'a str,
    pub(crate) handler: &'a str,
    /// `signal`, `queue`, `periodic`, `cron` or the name of a hook.
    pub(crate) kind: &'static str,
    /// The name of the signal or queue, or the schedule.
    pub(crate) source: &'a str,
    /// The message, if there is one.
    pub(crate) message: Option<MessageSite<'a>>,
}

/// The fields of a message in the log.
#[derive(Debug)]
pub(crate) struct MessageSite<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) attempt: u32,
    /// The consequence of the failure: the next retry, or the dead letter.
    pub(crate) next: String,
}

/// Runs a handler's future to one of its ends. The time counts from `began`.
pub(crate) fn fenced<T, F: Future<Output = Result<T>>>(
    run: F,
    began: Instant,
    timeout: Duration,
    killed: &CancellationToken,
) -> Fenced<'_, F> {
    Fenced {
        run: AssertUnwindSafe(run).catch_unwind(),
        cut_off: None,
        began,
        timeout,
        killed,
    }
}

pin_project! {
    /// The future of [`fenced`]. It is a type of its own, and not an `async fn`, because that would keep its arguments twice: each
    /// message in work has one.
    pub(crate) struct Fenced<'a, F> {
        #[pin]
        run: CatchUnwind<AssertUnwindSafe<F>>,
        // Most handlers of a busy queue end at their first poll, so the timer is made only for one that waits.
        cut_off: Option<BoxFuture<'a, CutOff>>,
        began: Instant,
        timeout: Duration,
        killed: &'a CancellationToken,
    }
}

impl<T, F: Future<Output = Result<T>>> Future for Fenced<'_, F> {
    type Output = End<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<End<T>> {
        let this = self.project();
        let (began, timeout, killed) = (*this.began, *this.timeout, *this.killed);
        if let Poll::Ready(result) = this.run.poll(cx) {
            return Poll::Ready(match result {
                Ok(Ok(value)) => End::Done(value),
                Ok(Err(error)) => End::Failed(error),
                Err(panic) => End::Panicked(panic_text(panic.as_ref())),
            });
        }
        let cut_off = this
            .cut_off
            .get_or_insert_with(|| Box::pin(unconstrained(cut_off_at(began, timeout, killed))));
        cut_off.as_mut().poll(cx).map(|cut_off| match cut_off {
            CutOff::TimedOut => End::TimedOut(timeout),
            CutOff::Killed => End::Abandoned,
        })
    }
}

/// The reason why a run does not end by itself.
enum CutOff {
    TimedOut,
    Killed,
}

async fn cut_off_at(began: Instant, timeout: Duration, killed: &CancellationToken) -> CutOff {
    tokio::select! {
        biased;
        () = sleep_until(later(began, timeout)) => CutOff::TimedOut,
        () = killed.cancelled() => CutOff::Killed,
    }
}

/// The span of a run without a subscriber for spans.
pub(crate) static NO_SPAN: Span = Span::none();

/// A handler whose arguments are decoded, and the limits of its run.
pub(crate) struct Run<'a, F> {
    /// The handler's name in chains of calls: `MailerAgent.send`.
    pub(crate) key: &'a Arc<str>,
    /// The caller that waits for the answer, if its id says so.
    pub(crate) caller: Option<Caller>,
    pub(crate) began: Instant,
    pub(crate) timeout: Duration,
    pub(crate) killed: &'a CancellationToken,
    /// The span of the run, disabled unless a subscriber wants it.
    pub(crate) span: &'a Span,
    pub(crate) future: F,
}

impl<T, F: Future<Output = Result<T>>> Run<'_, F> {
    /// Runs the handler [fenced](fenced), so that the calls that it makes know of it, and so does the watchdog.
    pub(crate) fn finish(self) -> impl Future<Output = End<T>> {
        let scope = CallScope::new(self.key, self.caller, later(self.began, self.timeout));
        let run = fenced(self.future, self.began, self.timeout, self.killed);
        polled::noted(self.key, self.began, self.span, scope.around(run))
    }
}

/// Decodes the arguments and makes the future of a handler; user code runs here too, so panics are caught as well.
pub(crate) fn decoded<F>(
    decode: impl FnOnce() -> Result<F>,
) -> Result<F, End<std::convert::Infallible>> {
    match std::panic::catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(run)) => Ok(run),
        Ok(Err(error)) => Err(End::Undecodable(error)),
        Err(panic) => Err(End::Panicked(panic_text(panic.as_ref()))),
    }
}

impl End<std::convert::Infallible> {
    /// Returns the same end for a handler that returns a value.
    pub(crate) fn of<T>(self) -> End<T> {
        match self {
            Self::Done(never) => match never {},
            Self::Failed(error) => End::Failed(error),
            Self::TimedOut(limit) => End::TimedOut(limit),
            Self::Panicked(text) => End::Panicked(text),
            Self::Undecodable(error) => End::Undecodable(error),
            Self::Abandoned => End::Abandoned,
            Self::Unneeded => End::Unneeded,
        }
    }
}

/// Counts the end of a run that ends now, and logs it if it is a failure; only then `site` is asked for. Returns the time of
/// the end.
pub(crate) fn record<'a, T>(
    end: &End<T>,
    stats: &HandlerStats,
    began: Instant,
    site: impl FnOnce() -> Site<'a>,
) -> Instant {
    let ended = Instant::now();
    let counter = match end {
        End::Done(_) => {
            stats.succeeded(began, ended);
            return ended;
        }
        End::Unneeded => {
            stats.dropped.count();
            return ended;
        }
        End::Failed(_) => &stats.failed,
        End::TimedOut(_) => &stats.timed_out,
        End::Panicked(_) => &stats.panicked,
        End::Undecodable(_) => &stats.undecodable,
        End::Abandoned => &stats.dropped,
    };
    counter.count();
    let took = ended.saturating_duration_since(began);
    if !matches!(end, End::Undecodable(_)) {
        stats.took(took);
    }
    if let Some(failure) = end.failure() {
        stats.note_error(failure);
    }
    log(end, &site(), took);
    ended
}

/// Lets other tasks run if this one has used up its share of time, as a handler that never waits would. Returns false if others
/// may have run.
pub(super) async fn goes_on() -> bool {
    let mut at_once = true;
    let mut turn = pin!(consume_budget());
    poll_fn(|cx| {
        let polled = turn.as_mut().poll(cx);
        at_once &= polled.is_ready();
        polled
    })
    .await;
    at_once
}

fn log<T>(end: &End<T>, site: &Site<'_>, took: Duration) {
    let (agent, handler, kind, source) = (site.agent, site.handler, site.kind, site.source);
    let message = site.message.as_ref();
    let id = message.and_then(|message| message.id);
    let attempt = message.map(|message| message.attempt);
    let next = message.map(|message| message.next.as_str());
    match end {
        End::Done(_) | End::Unneeded => {}
        End::Failed(error) => {
            let error = shortened(error.to_string());
            error!(agent, handler, kind, source, id, attempt, ?took, %error, next, "handler failed");
        }
        End::TimedOut(limit) => {
            error!(
                agent,
                handler,
                kind,
                source,
                id,
                attempt,
                ?took,
                ?limit,
                next,
                "handler timed out"
            );
        }
        End::Panicked(panic) => {
            let panic = shortened(panic.as_str());
            error!(
                agent,
                handler,
                kind,
                source,
                id,
                attempt,
                ?took,
                panic,
                next,
                "handler panicked"
            );
        }
        End::Undecodable(error) => {
            let error = shortened(error.to_string());
            error!(agent, handler, kind, source, id, attempt, %error, next, "payload does not fit the handler");
        }
        End::Abandoned => {
            warn!(
                agent,
                handler,
                kind,
                source,
                id,
                attempt,
                ?took,
                "handler cut off at the end of the grace"
            );
        }
    }
}

/// Returns the text of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
