//! One `consume`: the loop that keeps a channel at work, and the stream that yields its messages.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, Weak},
    time::SystemTime,
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use lapin::{
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use microagent_core::{
    Delivery, Queue, Result,
    driver::{Outage, SuspectGate},
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    buffer::{Buffer, Found, Item},
    publish::Publisher,
    session::{Copy, Place, Session, Settling, Setup, Target},
    settle::{Settler, returned},
    topology::{self, Compared, Declaration, Side},
};
use crate::{
    connection::{Link, Up, within},
    error::{error_of, unavailable},
    message::Received,
    properties::short,
};
use microagent_core::driver::lock;

/// A consumer of one queue.
pub(super) struct Consumer {
    pub(super) queue: Queue,
    pub(super) declaration: Declaration,
    pub(super) prefetch: u16,
    pub(super) link: Link,
    pub(super) publisher: Arc<Publisher>,
    pub(super) compared: Arc<Compared>,
    pub(super) gate: Arc<SuspectGate>,
    /// Something of this process is no longer in flight.
    pub(super) freed: Arc<Notify>,
    pub(super) tasks: Arc<Mutex<Vec<AbortHandle>>>,
    pub(super) buffer: Buffer,
    /// A message was moved to the queue of suspects.
    pub(super) suspected: Notify,
    /// The stream is gone, or the broker closes: nothing more is taken.
    pub(super) stopping: CancellationToken,
    /// The loop has ended.
    pub(super) ended: CancellationToken,
    /// The loop of the suspects has ended.
    pub(super) ended_suspects: CancellationToken,
    pub(super) sessions: Mutex<Vec<Started>>,
}

/// A session that was started, whose task may still settle.
pub(super) struct Started {
    session: Weak<Session>,
    of_suspects: bool,
    task: JoinHandle<()>,
}

/// A channel that consumes.
pub(super) struct Opened {
    session: Arc<Session>,
    deliveries: lapin::Consumer,
}

impl Consumer {
    pub(super) fn name(&self) -> &str {
        self.queue.name()
    }

    pub(super) fn suspects(&self) -> Side {
        Side::Suspects {
            queue: self.name().to_owned(),
        }
    }

    /// Declares the queue and begins to consume it.
    pub(super) async fn open(&self, up: &Up) -> Result<Opened> {
        topology::declare(up, &self.queue, &self.declaration, &self.compared).await?;
        let (suspects, kind) = (self.suspects(), self.declaration.kind);
        let (durable, arguments) = (suspects.is_durable(kind), suspects.arguments(kind));
        topology::create(up, &suspects.name(), durable, arguments).await?;
        let session = self.session(up, false).await?;
        let name = short(self.name(), "the name of a queue")?;
        let options = BasicConsumeOptions::default();
        let consuming =
            session
                .channel
                .basic_consume(name, "".into(), options, FieldTable::default());
        // Messages that arrive after the driver gave up waiting would count as those of a consumer that died.
        let deliveries = consuming.await.map_err(|error| {
            error_of(&error).context(format!("cannot consume queue `{}`", self.name()))
        })?;
        Ok(Opened {
            session,
            deliveries,
        })
    }

    /// Opens a channel whose messages can be settled.
    pub(super) async fn session(&self, up: &Up, of_suspects: bool) -> Result<Arc<Session>> {
        let channel = up.channel().await?;
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions::default());
        within(qos).await?.map_err(|error| error_of(&error))?;
        let (session, task) = Session::start(Setup {
            channel,
            prefetch: self.prefetch,
            publisher: Arc::clone(&self.publisher),
            kind: self.declaration.kind,
        });
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task.abort_handle());
        drop(tasks);
        let mut sessions = lock(&self.sessions);
        sessions.retain(|started| !started.task.is_finished());
        sessions.push(Started {
            session: Arc::downgrade(&session),
            of_suspects,
            task,
        });
        Ok(session)
    }

    /// Takes messages until the consumer stops, over as many channels as it needs.
    pub(super) async fn run(self: Arc<Self>, first: Option<Opened>) {
        let _ended = self.ended.clone().drop_guard();
        let (mut opened, mut outage) = (first, Outage::default());
        while !self.stopping.is_cancelled() {
            let began = Instant::now();
            let error = match self.take(opened.take()).await {
                Ok(()) => break,
                Err(error) => error,
            };
            outage.lost_after(began.elapsed());
            if outage.is_news(&error) {
                warn!(queue = self.name(), %error, "cannot consume; will keep retrying");
            }
            self.unless_stopping(sleep(outage.pause())).await;
        }
        self.return_untaken();
    }

    /// Returns the messages of the buffer to their queue. Messages that handlers hold stay with them.
    fn return_untaken(&self) {
        let (ordinary, suspect) = self.buffer.end();
        for item in ordinary {
            self.give_back(item, None, false);
        }
        if let Some((item, place)) = suspect {
            self.give_back(item, Some(place), true);
        }
    }

    pub(super) fn give_back(&self, item: Item, place: Option<Place>, is_suspect: bool) {
        let copy = returned(self.name(), &item.message, is_suspect);
        let settling = Settling {
            tag: item.tag,
            place,
            done: None,
        };
        item.session.move_to(settling, copy);
    }

    /// Takes messages over one channel until it ends, or the consumer stops.
    async fn take(&self, opened: Option<Opened>) -> Result<()> {
        let opened = match opened {
            Some(opened) => opened,
            None => {
                let Some(up) = self.unless_stopping(self.link.next_up()).await else {
                    return Ok(());
                };
                self.open(&up?).await?
            }
        };
        let Opened {
            session,
            mut deliveries,
        } = opened;
        // There may be suspects of a process that died with the last channel.
        self.suspected.notify_one();
        let end = loop {
            match self.unless_stopping(deliveries.next()).await {
                Some(Some(Ok(delivery))) => self.receive(&session, delivery),
                Some(Some(Err(error))) => break error_of(&error),
                Some(None) => {
                    break unavailable("the server cancelled the consumer: the queue was deleted");
                }
                None => {
                    self.cancel(&session, deliveries).await;
                    return Ok(());
                }
            }
        };
        self.buffer.forget(&session);
        Err(end)
    }

    /// Ends the consumer on the server, and receives everything that the server sends until it confirms that, or until the
    /// channel ends. The server would count the rest as messages of a consumer that died.
    async fn cancel(&self, session: &Arc<Session>, mut deliveries: lapin::Consumer) {
        let cancelling = session
            .channel
            .basic_cancel(deliveries.tag(), BasicCancelOptions::default());
        let rest = async {
            while let Some(Ok(delivery)) = deliveries.next().await {
                self.receive(session, delivery);
            }
        };
        let (cancelled, ()) = tokio::join!(cancelling, rest);
        if let Err(error) = cancelled {
            let (queue, error) = (self.name(), error_of(&error));
            warn!(queue, %error, "connection lost while the consumer stopped; its messages are delivered again");
            self.buffer.forget(session);
        }
    }

    fn receive(&self, session: &Arc<Session>, delivery: lapin::message::Delivery) {
        let tag = delivery.delivery_tag;
        let message = session.delivered(tag, delivery.into());
        let unseen = |copy| {
            let settling = Settling {
                tag,
                place: None,
                done: None,
            };
            session.move_to(settling, copy);
        };
        if message.redelivered {
            unseen(self.suspicion(&message));
            self.suspected.notify_one();
        } else if let Some(delay) = message.remaining(SystemTime::now()) {
            let queue = self.name().to_owned();
            let copy = message.returned(queue.clone());
            unseen(Copy {
                message: copy,
                to: Target::Queue { queue, delay },
            });
        } else {
            self.buffer.push(Item {
                session: Arc::clone(session),
                tag,
                message,
            });
        }
    }

    /// The copy of a message whose connection ended while it was out of its queue.
    pub(super) fn suspicion(&self, message: &Received) -> Copy {
        let side = self.suspects();
        Copy {
            message: message.suspected(side.name()),
            to: Target::Aside(side),
        }
    }

    /// Returns true if its loops have ended and its messages are settled.
    pub(super) fn is_over(&self) -> bool {
        let sessions = lock(&self.sessions);
        let settled = sessions.iter().all(|started| started.task.is_finished());
        settled && self.ended.is_cancelled() && self.ended_suspects.is_cancelled()
    }

    /// Returns everything that is unsettled, what handlers hold included, and waits until all settlements are carried
    /// out. The broker closes.
    pub(super) async fn abandon(&self) {
        let sessions = std::mem::take(&mut *lock(&self.sessions));
        for started in sessions {
            match started.session.upgrade() {
                Some(session) if session.is_open() => {
                    let suspects = started.of_suspects;
                    session
                        .leave(|message| returned(self.name(), message, suspects))
                        .await;
                }
                Some(_) => {}
                // Its task ends with the last settlement.
                None => {
                    let _ = started.task.await;
                }
            }
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            gate: Arc::clone(&self.gate),
            freed: Arc::clone(&self.freed),
        }
    }

    /// Waits for something until the consumer stops; `None` then.
    pub(super) async fn unless_stopping<T>(&self, event: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            event = event => Some(event),
        }
    }

    /// Returns the stream of its deliveries. Dropping it stops the consumer.
    pub(super) fn stream(self: Arc<Self>) -> BoxStream<'static, Delivery> {
        let stop = self.stopping.clone().drop_guard();
        stream::unfold((self, stop), |(consumer, stop)| async move {
            let delivery = consumer.next().await?;
            Some((delivery, (consumer, stop)))
        })
        .boxed()
    }

    async fn next(self: &Arc<Self>) -> Option<Delivery> {
        loop {
            let mut changed = pin!(self.buffer.changed.notified());
            changed.as_mut().enable();
            match self.buffer.look() {
                Found::End => return None,
                Found::Suspect(item, place) => return Some(self.deliver(item, place, true)),
                Found::Nothing => changed.await,
                Found::Ordinary => tokio::select! {
                    taking = self.gate.begin_take() => {
                        if let Some(item) = self.buffer.pop() {
                            taking.found(1);
                            return Some(self.deliver(item, self.place(), false));
                        }
                    }
                    () = changed => {}
                },
            }
        }
    }

    fn deliver(self: &Arc<Self>, item: Item, place: Place, is_suspect: bool) -> Delivery {
        let message = item.message.message(self.name());
        let settler = Settler {
            consumer: Arc::clone(self),
            item,
            place,
            is_suspect,
        };
        Delivery::new(message, Box::new(settler))
    }
}
