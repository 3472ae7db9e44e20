//! A receiver of an agent: its places, its runs, and the signals that it drops.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Span, debug, warn};

use super::{
    flow::{Admission, Flow},
    outcome,
    quick::{attended, is_quick},
    receive::{Received, Reply, reply_of},
    run::{self, End, NO_SPAN, Run, Site},
};
use crate::{
    Context, HandlerFuture, HandlerReply, ReceiverOptions, Result, SignalInput,
    clock::later,
    rpc::Caller,
    stats::{Counter, HandlerStats, Place},
    trace,
};

type Call = Box<dyn Fn(&SignalInput<'_>) -> HandlerFuture<HandlerReply> + Send + Sync>;

/// A receiver of a running agent.
pub(crate) struct BoundReceiver {
    /// The agent's type.
    pub(crate) agent: &'static str,
    /// The name in answers: `CommentAgent.comments_count`.
    pub(crate) key: Arc<str>,
    pub(crate) name: &'static str,
    pub(crate) cx: Context,
    pub(crate) options: ReceiverOptions,
    pub(crate) call: Call,
    pub(crate) flow: Flow<Job>,
    pub(crate) stats: Arc<HandlerStats>,
    /// The number of signals that were dropped since it last kept up.
    pub(crate) dropped: Counter,
    pub(crate) tasks: TaskTracker,
    pub(crate) killed: CancellationToken,
}

/// A signal for one receiver.
pub(crate) struct Job {
    pub(super) received: Received,
    /// Gets the reply to a call.
    pub(super) reply: Option<oneshot::Sender<Reply>>,
}

/// A handler that has decoded its arguments.
type Decoded = BoxFuture<'static, Result<HandlerReply>>;

impl BoundReceiver {
    /// Starts the job if there is a place for it. The job's reply is dropped unused if it does not run.
    pub(super) fn start(self: &Arc<Self>, job: Job) {
        match self.flow.admit(job) {
            Admission::Runs(job) => self.start_place(job),
            Admission::Waits => {}
            Admission::WaitsInsteadOf(oldest) => self.overflowed(&oldest, "oldest"),
            Admission::Refused(newest) => self.overflowed(&newest, "newest"),
        }
    }

    fn start_place(self: &Arc<Self>, job: Job) {
        self.tasks.spawn(Arc::clone(self).run_place(job));
    }

    /// Makes tasks for the jobs that waited for quick runs.
    fn spread(self: &Arc<Self>) {
        while let Some(job) = self.flow.spread() {
            self.start_place(job);
        }
    }

    /// Runs a job, and then those that wait for a place, until none waits.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice, and each place has a task of this size"
    )]
    fn run_place(self: Arc<Self>, mut job: Job) -> impl Future<Output = ()> + Send {
        async move {
            self.flow.begin();
            let place = self.stats.place();
            let mut began = Instant::now();
            loop {
                let run = self.run(&job.received, &place, began);
                let ((end, ended), at_once) = attended(run, || self.spread()).await;
                let quick = is_quick(at_once, began, ended);
                if !quick {
                    self.spread();
                }
                if let Some(reply) = job.reply {
                    // The agent may end before it has answered.
                    let _ = reply.send(reply_of(end));
                }
                let Some(next) = self.flow.next(quick) else {
                    return self.keeps_up();
                };
                job = next;
                // The end of a run is the begin of the next one, which saves reading the clock.
                began = if run::goes_on().await {
                    ended
                } else {
                    Instant::now()
                };
            }
        }
    }

    /// Runs the handler, and again after failures as its options say. It keeps its place meanwhile. Returns when the last run
    /// ended, too.
    async fn run(
        &self,
        received: &Received,
        place: &Place<'_>,
        began: Instant,
    ) -> (End<HandlerReply>, Instant) {
        let (end, ended) = self.run_once(received, place, began).await;
        if matches!(end, End::Done(_)) {
            return (end, ended);
        }
        // In a box, so that the task of each signal does not have the room for it.
        Box::pin(self.run_again(received, place, (end, ended))).await
    }

    /// Runs the handler again after a failure, as its options say.
    async fn run_again(
        &self,
        received: &Received,
        place: &Place<'_>,
        (mut end, mut ended): (End<HandlerReply>, Instant),
    ) -> (End<HandlerReply>, Instant) {
        let options = &self.options;
        for attempt in 1.. {
            let again = outcome::again_after(&end, attempt, &options.retry, &options.into());
            let Some(delay) = again else {
                break;
            };
            if received.unneeded_by(later(Instant::now(), delay)) {
                break;
            }
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                attempt,
                ?delay,
                "handler failed; retrying"
            );
            self.stats.retried.count();
            tokio::select! {
                biased;
                () = self.cx.stopping().cancelled() => break,
                () = sleep(delay) => {}
            }
            (end, ended) = self.run_once(received, place, Instant::now()).await;
        }
        (end, ended)
    }

    async fn run_once(
        &self,
        received: &Received,
        place: &Place<'_>,
        began: Instant,
    ) -> (End<HandlerReply>, Instant) {
        if received.unneeded_by(began) {
            return (self.skip(received), began);
        }
        place.begin(began);
        let span = self.trace(received);
        let span = span.as_deref().unwrap_or(&NO_SPAN);
        let end = match self.decode(received) {
            Ok(future) => {
                let run = Run {
                    key: &self.key,
                    caller: received.caller.clone(),
                    began,
                    timeout: self.options.timeout,
                    killed: &self.killed,
                    span,
                    future,
                };
                run.finish().await
            }
            Err(end) => end,
        };
        trace::end_run(span, &end);
        place.end();
        let ended = run::record(&end, &self.stats, began, || {
            self.site(&received.signal.name)
        });
        (end, ended)
    }

    /// Returns the span of a run, if a subscriber wants spans.
    fn trace(&self, received: &Received) -> Option<Box<Span>> {
        if !trace::is_enabled() {
            return None;
        }
        let (bus, agent, signal) = (
            self.cx.bus().driver(),
            self.cx.name(),
            &received.signal.name,
        );
        let span = if received.is_call {
            let caller = received.caller.as_ref().and_then(Caller::trace);
            trace::answer(bus, agent, self.name, signal, caller)
        } else {
            trace::receive(bus, agent, self.name, signal)
        };
        Some(Box::new(span))
    }

    /// Skips a call that waited for a place longer than its caller did.
    fn skip(&self, received: &Received) -> End<HandlerReply> {
        self.stats.dropped.count();
        debug!(
            agent = self.cx.name(),
            handler = self.name,
            source = &*received.signal.name,
            "call not started: its caller had stopped waiting"
        );
        End::Unneeded
    }

    fn decode(&self, received: &Received) -> std::result::Result<Decoded, End<HandlerReply>> {
        let fields = received.fields()?;
        let input = SignalInput {
            cx: &self.cx,
            signal: &received.signal.name,
            sender: &received.sender,
            body: &received.body,
            fields: &fields,
        };
        run::decoded(|| (self.call)(&input)).map_err(End::of)
    }

    /// Logs how many signals were dropped, when no signal waits any longer.
    fn keeps_up(&self) {
        if self.dropped.get() == 0 {
            return;
        }
        let dropped = self.dropped.take();
        if dropped > 0 {
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                dropped,
                "receiver keeps up again: signals were dropped"
            );
        }
    }

    /// Counts every dropped signal; logs the first of each thousand, since they come in bursts.
    fn overflowed(&self, dropped: &Job, which: &str) {
        let before = self.dropped.get();
        self.dropped.count();
        self.stats.dropped.count();
        if before.is_multiple_of(1000) {
            warn!(
                agent = self.cx.name(),
                handler = self.name,
                source = &*dropped.received.signal.name,
                which,
                dropped = before + 1,
                "receiver is too slow: signals are dropped"
            );
        }
    }

    fn site<'a>(&'a self, signal: &'a str) -> Site<'a> {
        Site {
            agent: self.cx.name(),
            handler: self.name,
            kind: "signal",
            source: signal,
            message: None,
        }
    }
}
