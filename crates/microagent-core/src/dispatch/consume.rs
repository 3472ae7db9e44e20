//! From a queue to the consumer's handler and from its end to a settlement.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use futures_util::{StreamExt, stream::BoxStream};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Span, error, warn};

use super::{
    flow::{Admission, Flow},
    growth::Activity,
    outcome,
    quick::{attended, is_quick},
    run::{self, End, MessageSite, NO_SPAN, Run, Site},
};
use crate::{
    ConsumerOptions, Context, Delivery, Error, ErrorKind, HandlerFuture, Message, MessageInput,
    Result, SettleFuture, Settlement,
    delivery::Lender,
    shortened,
    stats::{HandlerStats, Place},
    trace::{self, SettleTrace},
};

type Call = Box<dyn Fn(&mut MessageInput<'_>) -> HandlerFuture<()> + Send + Sync>;

/// A consumer of a running agent.
pub(crate) struct BoundConsumer {
    /// The name in chains of calls: `MailerAgent.send`.
    pub(crate) key: Arc<str>,
    pub(crate) name: &'static str,
    pub(crate) queue: String,
    pub(crate) cx: Context,
    pub(crate) options: ConsumerOptions,
    pub(crate) call: Call,
    pub(crate) flow: Flow<Delivery>,
    pub(crate) stats: Arc<HandlerStats>,
    pub(crate) parking: Parking,
    pub(crate) activity: Arc<Activity>,
    pub(crate) tasks: TaskTracker,
    pub(crate) killed: CancellationToken,
}

/// Takes deliveries, as many as the consumer has room for, until the agent stops. Dropping the stream returns the deliveries that
/// it still holds.
///
/// # Errors
/// If the stream ends before the agent stops: the queue is no longer consumed, and the agent has to end.
pub(crate) async fn consume(
    consumer: Arc<BoundConsumer>,
    mut deliveries: BoxStream<'static, Delivery>,
) -> Result<()> {
    let (unconfirmed, settlements) = mpsc::unbounded_channel();
    consumer
        .tasks
        .spawn(Arc::clone(&consumer).confirm(settlements));
    let mut stopped = pin!(consumer.cx.stopping().cancelled());
    loop {
        let mut next = pin!(consumer.next(&mut deliveries));
        let next = poll_fn(|cx| {
            if consumer.cx.is_stopping() {
                return Poll::Ready(None);
            }
            match next.as_mut().poll(cx) {
                Poll::Ready(next) => Poll::Ready(Some(next)),
                // It only registers the waker.
                Poll::Pending => stopped.as_mut().poll(cx).map(|()| None),
            }
        });
        let Some(next) = next.await else {
            // They are given back; no task takes one of them after the stop was asked for.
            consumer.flow.clear();
            return Ok(());
        };
        // A driver ends the stream only when its broker was closed.
        let delivery = next.ok_or_else(|| consumer.stream_has_ended())?;
        match consumer.flow.admit(delivery) {
            Admission::Runs(delivery) => consumer.start_place(delivery, &unconfirmed),
            Admission::Waits => {}
            // There was room. If not, the delivery goes back to its queue.
            Admission::WaitsInsteadOf(delivery) | Admission::Refused(delivery) => drop(delivery),
        }
    }
}

impl BoundConsumer {
    async fn next(&self, deliveries: &mut BoxStream<'static, Delivery>) -> Option<Delivery> {
        self.flow.room().await;
        deliveries.next().await
    }

    fn stream_has_ended(&self) -> Error {
        self.flow.clear();
        let text = format!(
            "`{}` is not consumed any more: the stream of its messages has ended",
            self.queue
        );
        Error::new(ErrorKind::Closed, text)
    }

    fn start_place(
        self: &Arc<Self>,
        delivery: Delivery,
        unconfirmed: &mpsc::UnboundedSender<SettleFuture>,
    ) {
        let place = Arc::clone(self).run_place(delivery, unconfirmed.clone());
        self.tasks.spawn(place);
    }

    /// Makes tasks for the deliveries that waited for quick runs.
    fn spread(self: &Arc<Self>, unconfirmed: &mpsc::UnboundedSender<SettleFuture>) {
        while !self.cx.is_stopping()
            && let Some(delivery) = self.flow.spread()
        {
            self.start_place(delivery, unconfirmed);
        }
    }

    /// Handles a delivery, and then those that wait for a place, until none waits or the agent stops.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice, and each place has a task of this size"
    )]
    fn run_place(
        self: Arc<Self>,
        mut delivery: Delivery,
        unconfirmed: mpsc::UnboundedSender<SettleFuture>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            self.flow.begin();
            let _running = self.activity.begin();
            let place = self.stats.place();
            let mut began = Instant::now();
            loop {
                let run = self.handle(delivery, &place, began);
                let ((settled, ended), at_once) = attended(run, || self.spread(&unconfirmed)).await;
                let quick = is_quick(at_once, began, ended);
                if !quick {
                    self.spread(&unconfirmed);
                }
                if let Some(settled) = settled {
                    match settled.result() {
                        Ok(result) => self.check_confirmed(result),
                        // The task that receives it lives as long as this sender.
                        Err(waiting) => drop(unconfirmed.send(waiting)),
                    }
                }
                if self.cx.is_stopping() {
                    return self.flow.leave();
                }
                let Some(next) = self.flow.next(quick) else {
                    return;
                };
                delivery = next;
                // The end of a run is the begin of the next one, which saves reading the clock.
                began = if run::goes_on().await {
                    ended
                } else {
                    Instant::now()
                };
            }
        }
    }

    /// Waits for the confirmations of settlements in the order in which they were handed over, until the consumer and all its
    /// places have ended. One task for all: a driver confirms many at once, and that wakes this task once.
    async fn confirm(self: Arc<Self>, mut settlements: mpsc::UnboundedReceiver<SettleFuture>) {
        while let Some(settled) = settlements.recv().await {
            self.check_confirmed(settled.await);
        }
    }

    fn check_confirmed(&self, result: Result<()>) {
        if let Err(error) = result {
            warn!(
                agent = self.cx.name(), handler = self.name, queue = self.queue, %error,
                "settlement not confirmed: the message may be delivered again"
            );
        }
    }

    /// Runs the handler and hands the settlement over, which is `None` if the handler settled the delivery itself. Returns when
    /// the run ended, too.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice, and each place has a task of this size"
    )]
    fn handle<'a>(
        &'a self,
        mut delivery: Delivery,
        place: &'a Place<'a>,
        began: Instant,
    ) -> impl Future<Output = (Option<SettleFuture>, Instant)> + Send + use<'a> {
        async move {
            let span = self.trace(&mut delivery);
            let message = delivery.message();
            if message.attempt() > 1 || message.crashes() > 0 {
                self.stats.redelivered.count();
            }
            if let Some(parked) = outcome::of_crashes(message, &self.options) {
                return (Some(self.settle(delivery, parked)), began);
            }
            if !self.options.autoack {
                return Box::pin(self.handle_lent(delivery, place, began, span)).await;
            }
            let end = self.run(message, None, place, began, &span).await;
            let settlement = outcome::of_run(&end, message, &self.options);
            let ended = self.record(&end, message, began, || outcome::follows(&settlement));
            (Some(self.settle(delivery, settlement)), ended)
        }
    }

    /// Runs a handler that settles by hand. A delivery that it leaves unsettled is settled by its result; an `Ok` that settled
    /// nothing and kept nothing is a mistake that must not become a loop, so it counts as a failure.
    async fn handle_lent(
        &self,
        mut delivery: Delivery,
        place: &Place<'_>,
        began: Instant,
        span: Option<Box<Span>>,
    ) -> (Option<SettleFuture>, Instant) {
        let message = delivery.message().clone();
        let trace = delivery.trace();
        let dead_letter = outcome::dead_letter_queue(&message, &self.options).map(Into::into);
        let parking = self.parking.clone();
        let lender: Lender = delivery.lend(
            dead_letter,
            Box::new(move |message, settlement| parking.note(message, settlement)),
        );
        let end = self
            .run(&message, Some(delivery), place, began, &span)
            .await;
        let Some(mut unsettled) = lender.reclaim(message.clone()) else {
            let next = || "settled by the handler".to_owned();
            return (None, self.record(&end, &message, began, next));
        };
        unsettled.set_trace(trace);
        let left = matches!(end, End::Done(()))
            .then(|| End::Failed("the handler ended without settling its delivery".into()));
        let decisive = left.as_ref().unwrap_or(&end);
        let settlement = outcome::of_run(decisive, &message, &self.options);
        if let End::Failed(error) = decisive {
            let (error, next) = (shortened(error.to_string()), outcome::follows(&settlement));
            warn!(
                agent = self.cx.name(), handler = self.name, queue = self.queue, id = message.id(),
                attempt = message.attempt(), %error, next, "delivery left unsettled"
            );
        }
        let ended = self.record(&end, &message, began, || outcome::follows(&settlement));
        (Some(self.settle(unsettled, settlement)), ended)
    }

    /// Starts the trace of a delivery, if a subscriber wants spans, and returns the span of its run.
    fn trace(&self, delivery: &mut Delivery) -> Option<Box<Span>> {
        if !trace::is_enabled() {
            return None;
        }
        let broker = self.cx.broker().driver();
        let span = trace::process(broker, self.cx.name(), self.name, delivery.message());
        delivery.set_trace(Some(SettleTrace::of(broker.address(), &span)));
        Some(Box::new(span))
    }

    /// Decodes the arguments, and returns the run of the handler. It is not an `async fn`, which would keep the delivery.
    fn run<'a>(
        &'a self,
        message: &Message,
        delivery: Option<Delivery>,
        place: &'a Place<'a>,
        began: Instant,
        span: &'a Option<Box<Span>>,
    ) -> impl Future<Output = End<()>> + Send + use<'a> {
        place.begin(began);
        let span = span.as_deref().unwrap_or(&NO_SPAN);
        let mut input = MessageInput {
            cx: &self.cx,
            message,
            delivery,
        };
        let decoded = run::decoded(|| (self.call)(&mut input));
        drop(input);
        async move {
            let end = match decoded {
                Ok(future) => {
                    let run = Run {
                        key: &self.key,
                        caller: None,
                        began,
                        timeout: self.options.timeout,
                        killed: &self.killed,
                        span,
                        future,
                    };
                    run.finish().await
                }
                Err(end) => end.of(),
            };
            trace::end_run(span, &end);
            place.end();
            end
        }
    }

    fn record(
        &self,
        end: &End<()>,
        message: &Message,
        began: Instant,
        next: impl FnOnce() -> String,
    ) -> Instant {
        run::record(end, &self.stats, began, || Site {
            agent: self.cx.name(),
            handler: self.name,
            kind: "queue",
            source: &self.queue,
            message: Some(MessageSite {
                id: message.id(),
                attempt: message.attempt(),
                next: next(),
            }),
        })
    }

    fn settle(&self, delivery: Delivery, settlement: Settlement) -> SettleFuture {
        self.parking.note(delivery.message(), &settlement);
        delivery.settle(settlement)
    }
}

/// Counts the settlements of a consumer other than acknowledgements, those that its handler asks for included, and logs its dead
/// letters.
#[derive(Clone)]
pub(crate) struct Parking {
    pub(crate) cx: Context,
    pub(crate) handler: &'static str,
    pub(crate) stats: Arc<HandlerStats>,
}

impl Parking {
    fn note(&self, message: &Message, settlement: &Settlement) {
        let (queue, reason, detail) = match settlement {
            Settlement::Ack => return,
            Settlement::Retry { .. } => return self.stats.retried.count(),
            Settlement::Return => return self.stats.returned.count(),
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => (queue, reason, detail),
        };
        self.stats.dead_lettered.count();
        error!(
            agent = self.cx.name(), handler = self.handler, queue = message.queue(), id = message.id(),
            dead_letter = queue, %reason, detail, attempt = message.attempt(), "message parked as a dead letter"
        );
    }
}
