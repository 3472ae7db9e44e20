//! From a queue to the consumer's handler and from its end to a settlement.

use std::sync::Arc;

use futures_util::{StreamExt, stream::BoxStream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, warn};

use super::{
    growth::Activity,
    outcome,
    run::{self, End, MessageSite, Site},
};
use crate::{
    ConsumerOptions, Context, Delivery, Error, ErrorKind, HandlerFuture, Message, MessageInput,
    Result, Settlement, delivery::Lender, rpc::CallScope, shortened, stats::HandlerStats,
};

type Call = Box<dyn Fn(&mut MessageInput<'_>) -> HandlerFuture<()> + Send + Sync>;

/// A consumer of a living agent.
pub(crate) struct BoundConsumer {
    /// `MailerAgent.send`, as it stands in chains of calls.
    pub(crate) key: Arc<str>,
    pub(crate) name: &'static str,
    pub(crate) queue: String,
    pub(crate) cx: Context,
    pub(crate) options: ConsumerOptions,
    pub(crate) call: Call,
    pub(crate) stats: Arc<HandlerStats>,
    pub(crate) parking: Parking,
    pub(crate) activity: Arc<Activity>,
    pub(crate) tasks: TaskTracker,
    pub(crate) killed: CancellationToken,
}

/// Takes deliveries, as many at a time as the consumer may run, until the agent stops. Dropping the stream returns
/// what it still holds.
///
/// # Errors
/// When the stream ends before: the queue is not consumed any more, and the agent has to end for it.
pub(crate) async fn consume(
    consumer: Arc<BoundConsumer>,
    mut deliveries: BoxStream<'static, Delivery>,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(consumer.options.concurrency.max(1)));
    let stopping = consumer.cx.stopping().clone();
    loop {
        let taken = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            taken = next(&places, &mut deliveries) => taken,
        };
        let Some((place, delivery)) = taken else {
            // A driver ends the stream only when its broker was closed.
            let text = format!(
                "`{}` is not consumed any more: the stream of its messages has ended",
                consumer.queue
            );
            return Err(Error::new(ErrorKind::Closed, text));
        };
        let (handling, running) = (Arc::clone(&consumer), consumer.activity.begin());
        consumer.tasks.spawn(async move {
            handling.handle(delivery, place).await;
            drop(running);
        });
    }
}

async fn next(
    places: &Arc<Semaphore>,
    deliveries: &mut BoxStream<'static, Delivery>,
) -> Option<(OwnedSemaphorePermit, Delivery)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    Some((place, deliveries.next().await?))
}

impl BoundConsumer {
    async fn handle(&self, delivery: Delivery, place: OwnedSemaphorePermit) {
        let message = delivery.message().clone();
        if let Some(parked) = outcome::of_crashes(&message, &self.options) {
            return self.settle(delivery, parked, place).await;
        }
        if self.options.autoack {
            let (end, began) = self.run(&message, None).await;
            let settlement = outcome::of_run(&end, &message, &self.options);
            self.record(&end, &message, began, outcome::follows(&settlement));
            return self.settle(delivery, settlement, place).await;
        }
        self.handle_lent(delivery, message, place).await;
    }

    /// A handler that settles by hand. What it leaves unsettled is settled by its result; an `Ok` that settled
    /// nothing and kept nothing is a mistake that must not become a loop, so it counts as a failure.
    async fn handle_lent(
        &self,
        mut delivery: Delivery,
        message: Message,
        place: OwnedSemaphorePermit,
    ) {
        let dead_letter = outcome::dead_letter_queue(&message, &self.options).map(Into::into);
        let parking = self.parking.clone();
        let lender: Lender = delivery.lend(
            dead_letter,
            Box::new(move |message, settlement| parking.note(message, settlement)),
        );
        let (end, began) = self.run(&message, Some(delivery)).await;
        let Some(unsettled) = lender.reclaim(message.clone()) else {
            return self.record(&end, &message, began, "settled by the handler".to_owned());
        };
        let left = matches!(end, End::Done(()))
            .then(|| End::Failed("the handler ended without settling its delivery".into()));
        let decisive = left.as_ref().unwrap_or(&end);
        let settlement = outcome::of_run(decisive, &message, &self.options);
        let next = outcome::follows(&settlement);
        if let End::Failed(error) = decisive {
            let error = shortened(error.to_string());
            warn!(
                agent = self.cx.name(), handler = self.name, queue = self.queue, id = message.id(),
                attempt = message.attempt(), %error, next, "delivery left unsettled"
            );
        }
        self.record(&end, &message, began, next);
        self.settle(unsettled, settlement, place).await;
    }

    async fn run(&self, message: &Message, delivery: Option<Delivery>) -> (End<()>, Instant) {
        let began = Instant::now();
        let mut taken = MessageInput {
            cx: &self.cx,
            message,
            delivery,
        };
        let decoded = run::decoded(|| (self.call)(&mut taken));
        drop(taken);
        let end = match decoded {
            Ok(run) => {
                let scope = CallScope::new(&self.key, None, self.options.timeout);
                let run = run::fenced(run, self.options.timeout, &self.killed);
                scope.around(run).await
            }
            Err(end) => end.of(),
        };
        (end, began)
    }

    fn record(&self, end: &End<()>, message: &Message, began: Instant, next: String) {
        let site = Site {
            agent: self.cx.name(),
            handler: self.name,
            kind: "queue",
            source: &self.queue,
            message: Some(MessageSite {
                id: message.id(),
                attempt: message.attempt(),
                next,
            }),
        };
        run::record(end, &site, &self.stats, began);
    }

    /// Hands the settlement over, gives the place to the next message, and then waits for the confirmation.
    async fn settle(
        &self,
        delivery: Delivery,
        settlement: Settlement,
        place: OwnedSemaphorePermit,
    ) {
        self.parking.note(delivery.message(), &settlement);
        let settled = delivery.settle(settlement);
        drop(place);
        if let Err(error) = settled.await {
            warn!(
                agent = self.cx.name(), handler = self.name, queue = self.queue, %error,
                "settlement not confirmed: the message may be delivered again"
            );
        }
    }
}

/// Counts and logs the dead letters of a consumer, those that its handler asks for included.
#[derive(Clone)]
pub(crate) struct Parking {
    pub(crate) cx: Context,
    pub(crate) handler: &'static str,
    pub(crate) stats: Arc<HandlerStats>,
}

impl Parking {
    fn note(&self, message: &Message, settlement: &Settlement) {
        let Settlement::DeadLetter {
            queue,
            reason,
            detail,
        } = settlement
        else {
            return;
        };
        self.stats.dead_lettered.count();
        error!(
            agent = self.cx.name(), handler = self.handler, queue = message.queue(), id = message.id(),
            dead_letter = queue, %reason, detail, attempt = message.attempt(), "message parked as a dead letter"
        );
    }
}
