//! One channel that takes messages, and the task that settles them: acknowledgements go together, and the answer to a question
//! behind them confirms them.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use lapin::{
    Channel,
    options::{BasicAckOptions, BasicQosOptions},
};
use microagent_core::{
    Error, ErrorKind, Result,
    driver::{Outage, SuspectGate},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};
use tracing::warn;

use super::{
    publish::Publisher,
    tags::Tags,
    topology::{QueueKind, Side},
};
use crate::{
    error::{error_of, unavailable},
    message::{Outgoing, Received},
};
use microagent_core::driver::lock;

/// The most acknowledgements that are confirmed together.
const BATCH: usize = 512;

/// A channel with its deliveries. It is used until the last of them is settled.
pub(super) struct Session {
    pub(super) channel: Channel,
    tags: Arc<Mutex<Tags>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// A message's place among those that are in flight. Dropping it makes room for others.
pub(super) struct Place {
    pub(super) gate: Arc<SuspectGate>,
    pub(super) freed: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.settled();
        self.freed.notify_waiters();
    }
}

/// One settlement.
pub(super) struct Settling {
    pub(super) tag: u64,
    /// Kept until it is carried out.
    pub(super) place: Option<Place>,
    /// Nobody waits for the settlements that the driver makes itself.
    pub(super) done: Option<oneshot::Sender<Result<()>>>,
}

/// A copy that is stored elsewhere before the original is acknowledged.
pub(super) struct Copy {
    pub(super) message: Outgoing,
    pub(super) to: Target,
}

/// The destination of a copy.
pub(super) enum Target {
    /// To the tail of this queue, after a delay.
    Queue {
        queue: String,
        delay: Duration,
    },
    Aside(Side),
}

enum Order {
    Ack(Settling),
    Move(Settling, Box<Copy>),
    /// Answered when everything before it is carried out.
    Flush(oneshot::Sender<()>),
}

/// The parts of a session.
pub(super) struct Setup {
    pub(super) channel: Channel,
    pub(super) prefetch: u16,
    pub(super) publisher: Arc<Publisher>,
    pub(super) kind: QueueKind,
}

impl Session {
    /// Starts the task that settles. It ends when nobody has the session and everything that was handed over is carried out.
    pub(super) fn start(setup: Setup) -> (Arc<Self>, JoinHandle<()>) {
        let (orders, received) = mpsc::unbounded_channel();
        let tags = Arc::<Mutex<Tags>>::default();
        let session = Self {
            channel: setup.channel.clone(),
            tags: Arc::clone(&tags),
            orders,
        };
        let settler = Settler {
            setup: Arc::new(setup),
            tags,
            moves: JoinSet::new(),
            flushes: Vec::new(),
        };
        let task = tokio::spawn(settler.run(received));
        (Arc::new(session), task)
    }

    /// Registers a delivery.
    pub(super) fn delivered(&self, tag: u64, message: Received) -> Arc<Received> {
        let message = Arc::new(message);
        lock(&self.tags).delivered(tag, Arc::clone(&message));
        message
    }

    /// Returns true if its messages can still be settled.
    pub(super) fn is_open(&self) -> bool {
        self.channel.status().connected() && !self.orders.is_closed()
    }

    /// Acknowledges a delivery.
    pub(super) fn ack(&self, settling: Settling) {
        if lock(&self.tags).claim(settling.tag).is_some() {
            // After the end nobody takes it, and the dropped sender says so.
            let _ = self.orders.send(Order::Ack(settling));
        }
    }

    /// Stores a copy of a delivery elsewhere and then acknowledges it.
    pub(super) fn move_to(&self, settling: Settling, copy: Copy) {
        if lock(&self.tags).claim(settling.tag).is_some() {
            let _ = self.orders.send(Order::Move(settling, Box::new(copy)));
        }
    }

    /// Returns what nobody settles, to `back`, and waits until everything is carried out.
    pub(super) async fn leave(&self, back: impl Fn(&Received) -> Copy) {
        let rest = lock(&self.tags).claim_rest();
        for (tag, message) in rest {
            let settling = Settling {
                tag,
                place: None,
                done: None,
            };
            let _ = self
                .orders
                .send(Order::Move(settling, Box::new(back(&message))));
        }
        self.flush().await;
    }

    /// Waits until everything that was handed over is carried out.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            // The task has ended with its channel otherwise.
            let _ = flushed.await;
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("channel", &self.channel.id())
            .finish_non_exhaustive()
    }
}

/// The task of a session.
struct Settler {
    setup: Arc<Setup>,
    tags: Arc<Mutex<Tags>>,
    /// Copies on their way. A moved message is acknowledged when its copy is stored.
    moves: JoinSet<(Settling, Result<()>)>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Settler {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut received = Vec::with_capacity(BATCH);
        loop {
            let mut acks = Vec::new();
            tokio::select! {
                count = orders.recv_many(&mut received, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    for order in received.drain(..) {
                        self.take(order, &mut acks);
                    }
                }
                Some(moved) = self.moves.join_next() => take_moved(moved, &mut acks),
            }
            self.settle(acks).await;
        }
        while let Some(moved) = self.moves.join_next().await {
            let mut acks = Vec::new();
            take_moved(moved, &mut acks);
            self.settle(acks).await;
        }
    }

    fn take(&mut self, order: Order, acks: &mut Vec<Settling>) {
        match order {
            Order::Ack(settling) => acks.push(settling),
            Order::Flush(done) => self.flushes.push(done),
            Order::Move(settling, copy) => {
                let setup = Arc::clone(&self.setup);
                self.moves.spawn(async move {
                    let stored = setup.store(&copy).await;
                    (settling, stored)
                });
            }
        }
    }

    async fn settle(&mut self, mut acks: Vec<Settling>) {
        while let Some(moved) = self.moves.try_join_next() {
            take_moved(moved, &mut acks);
        }
        if !acks.is_empty() {
            let result = self.acknowledge(&acks).await;
            for settling in acks {
                settling.tell(
                    result
                        .as_ref()
                        .map_or_else(|error| Err(error.without_source()), |()| Ok(())),
                );
            }
        }
        if self.moves.is_empty() {
            for done in self.flushes.drain(..) {
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    /// Acknowledges deliveries, and asks something behind it: acknowledgements have no answer of their own. They are on their
    /// way, so only the end of the channel can make them invalid.
    async fn acknowledge(&self, acks: &[Settling]) -> Result<()> {
        let frames = lock(&self.tags).acknowledge(acks.iter().map(|settling| settling.tag));
        let channel = &self.setup.channel;
        let acknowledging = async {
            for frame in frames {
                let options = BasicAckOptions {
                    multiple: frame.multiple,
                };
                channel.basic_ack(frame.tag, options).await?;
            }
            channel
                .basic_qos(self.setup.prefetch, BasicQosOptions::default())
                .await
        };
        acknowledging.await.map_err(|error: lapin::Error| {
            let text = format!("{}; the message may be delivered again", error_of(&error));
            unavailable(text)
        })
    }
}

fn take_moved(
    moved: std::result::Result<(Settling, Result<()>), tokio::task::JoinError>,
    acks: &mut Vec<Settling>,
) {
    // A task that was aborted belongs to a session that ends.
    let Ok((settling, stored)) = moved else {
        return;
    };
    match stored {
        Ok(()) => acks.push(settling),
        Err(error) => settling.tell(Err(error)),
    }
}

impl Settling {
    fn tell(self, result: Result<()>) {
        drop(self.place);
        // Nobody needs to wait for a settlement.
        let _ = self.done.map(|done| done.send(result));
    }
}

impl Setup {
    /// Stores a copy, however long that takes, while the original can still be acknowledged.
    async fn store(&self, copy: &Copy) -> Result<()> {
        let mut outage = Outage::default();
        while self.channel.status().connected() {
            let error = match self.try_to_store(copy).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                Err(error) => error,
            };
            if outage.is_news(&error) {
                let to = &copy.message.routing_key;
                warn!(to, %error, "cannot move a message; will keep retrying");
            }
            tokio::time::sleep(outage.pause()).await;
        }
        Err(ended())
    }

    async fn try_to_store(&self, copy: &Copy) -> Result<()> {
        let Self {
            publisher, kind, ..
        } = self;
        match &copy.to {
            Target::Aside(side) => publisher.publish_aside(side, *kind, &copy.message).await,
            Target::Queue { queue, delay } => {
                let message = copy.message.clone();
                publisher
                    .publish_after(queue, *delay, *kind, message, SystemTime::now())
                    .await
            }
        }
    }
}

/// Returns the error of a settlement that comes after the end of its channel.
pub(super) fn ended() -> Error {
    unavailable("the channel ended before the settlement; the message may be delivered again")
}
