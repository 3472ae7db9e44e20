//! One run of one handler, fenced: its deadline, its panic and the end of the grace stop at this file.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{Error, Result, shortened, stats::HandlerStats};

/// How a run ended.
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
    /// The failure in words, of which there are not too many; `None` for a run that was no failure.
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

/// Who ran, for the log and the counters.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) agent: &'a str,
    pub(crate) handler: &'a str,
    /// `signal`, `queue`, `periodic`, `cron` or the name of a hook.
    pub(crate) kind: &'static str,
    /// The signal's or queue's name, the schedule.
    pub(crate) source: &'a str,
    /// The message, where there is one.
    pub(crate) message: Option<MessageSite<'a>>,
}

/// A message, as the log names it.
#[derive(Debug)]
pub(crate) struct MessageSite<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) attempt: u32,
    /// What follows if the run failed: the next retry, or the dead letter.
    pub(crate) next: String,
}

/// Runs a handler's future to one of its ends.
pub(crate) async fn fenced<T>(
    run: impl Future<Output = Result<T>>,
    timeout: Duration,
    killed: &CancellationToken,
) -> End<T> {
    let run = AssertUnwindSafe(run).catch_unwind();
    let ended = tokio::select! {
        biased;
        ended = tokio::time::timeout(timeout, run) => ended,
        () = killed.cancelled() => return End::Abandoned,
    };
    match ended {
        Ok(Ok(Ok(value))) => End::Done(value),
        Ok(Ok(Err(error))) => End::Failed(error),
        Ok(Err(panic)) => End::Panicked(panic_text(panic.as_ref())),
        Err(_) => End::TimedOut(timeout),
    }
}

/// Decodes and makes the future of a handler; user code runs here too, so it is fenced as well.
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
    /// The same end, of a handler that would have returned something.
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

/// Counts the end and logs it where it is a failure.
pub(crate) fn record<T>(end: &End<T>, site: &Site<'_>, stats: &HandlerStats, began: Instant) {
    let counter = match end {
        End::Done(_) => &stats.done,
        End::Failed(_) => &stats.failed,
        End::TimedOut(_) => &stats.timed_out,
        End::Panicked(_) => &stats.panicked,
        End::Undecodable(_) => &stats.undecodable,
        End::Abandoned | End::Unneeded => &stats.dropped,
    };
    counter.count();
    log(end, site, began.elapsed());
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

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
