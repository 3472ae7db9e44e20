//! The thread of one consumer: it polls the client, delivers messages, and commits what is settled.

mod assignment;
mod commits;
mod committer;
mod context;
mod delivering;
mod inbox;
mod pace;
mod revocation;

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use microagent_core::{
    Delivery, Error,
    driver::{DeliverySender, Outage, Prefetch, SuspectGate},
};
use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(super) use context::Context;
pub(super) use inbox::Inbox;

use self::{
    assignment::Assigned,
    commits::Commits,
    committer::Committer,
    context::Report,
    inbox::{Arrivals, Taken},
    pace::{GATHER, Pace},
    revocation::Revocation,
};
use super::{
    partition::Partition,
    settle::{Fate, Settling, Shared},
};
use crate::{
    Tracker,
    error::{error_of, unavailable},
};

/// The longest pause between two looks at the client, which must be asked regularly.
const TICK: Duration = Duration::from_millis(100);

/// The pause while a suspect of this process, or of another of its consumers, keeps messages back.
const GATED: Duration = Duration::from_millis(10);

/// An event for the thread.
pub(super) enum Event {
    /// The commit under way has ended.
    Committed(Result<(), KafkaError>),
    /// The progress of partitions, by their ids.
    Progress(Result<BTreeMap<i32, Tracker>, Error>),
    /// Nothing of the process is in flight. The sender takes a suspect.
    Cleared(oneshot::Sender<Option<Delivery>>),
    /// Another consumer has a suspect.
    Crowded,
    /// Everything that is not settled is given up.
    Close,
    /// For tests: the process dies.
    Crash,
}

/// The parts of a consumer.
pub(super) struct Setup {
    pub(super) name: Arc<str>,
    pub(super) address: String,
    pub(super) shared: Arc<Shared>,
    pub(super) prefetch: Prefetch,
    /// The limit of `prefetch`.
    pub(super) limit: usize,
    pub(super) deliveries: Arc<DeliverySender>,
    pub(super) gate: Arc<SuspectGate>,
    pub(super) runtime: Handle,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stopping: CancellationToken,
}

/// A consumer of a queue.
pub(super) struct Worker {
    setup: Setup,
    consumer: Arc<BaseConsumer<Context>>,
    arrivals: Arrivals,
    /// The place of what is taken from them, kept for its memory.
    taken: Taken,
    pace: Pace,
    /// Partitions whose progress is not read yet.
    assigned: BTreeMap<i32, Assigned>,
    /// The thread has asked for their progress.
    asks_for_progress: bool,
    partitions: BTreeMap<i32, Partition>,
    revocations: Vec<Revocation>,
    commits: Commits,
    committer: Committer,
    /// Asks for the one who may take a suspect.
    cleared: Option<oneshot::Sender<Option<Delivery>>>,
    asks_for_clear: bool,
    crowded_until: Option<Instant>,
    /// The partition that is served first.
    turn: usize,
    epoch: u64,
    closes: bool,
    crashed: bool,
    outage: Outage,
}

impl Worker {
    pub(super) fn new(setup: Setup, consumer: BaseConsumer<Context>) -> io::Result<Self> {
        let consumer = Arc::new(consumer);
        let committer = Committer::start(Arc::clone(&consumer), Arc::clone(&setup.inbox))?;
        Ok(Self {
            arrivals: Arrivals(Arc::clone(&setup.inbox)),
            taken: Taken::default(),
            pace: Pace::new(),
            setup,
            consumer,
            assigned: BTreeMap::new(),
            asks_for_progress: false,
            partitions: BTreeMap::new(),
            revocations: Vec::new(),
            commits: Commits::default(),
            committer,
            cleared: None,
            asks_for_clear: false,
            crowded_until: None,
            turn: 0,
            epoch: 0,
            closes: false,
            crashed: false,
            outage: Outage::default(),
        })
    }

    /// Runs until the consumer stops. Dropping the client, which may take its time, is part of it.
    pub(super) fn run(mut self) {
        let mut pause = Duration::ZERO;
        loop {
            self.wait(pause);
            self.poll();
            match self.step() {
                Some(next) => pause = next,
                None => break,
            }
        }
        self.end();
    }

    /// Takes settlements and events, and waits for the first ones.
    fn wait(&mut self, pause: Duration) {
        let (pause, enough) = self.pace.wait(pause, self.in_flight());
        let mut taken = std::mem::take(&mut self.taken);
        self.arrivals.wait(pause, enough, &mut taken);
        self.pace.count(taken.settled.len());
        for settling in taken.settled.drain(..) {
            self.settle(settling);
        }
        for event in taken.events.drain(..) {
            self.take(event);
        }
        self.taken = taken;
    }

    fn in_flight(&self) -> usize {
        self.partitions.values().map(Partition::in_flight).sum()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Close => self.closes = true,
            Event::Crash => self.crashed = true,
            Event::Committed(result) => self.is_committed(&result),
            Event::Progress(progress) => self.restore(progress),
            Event::Cleared(reply) => self.cleared = Some(reply),
            Event::Crowded => {
                self.asks_for_clear = false;
                self.crowded_until = Some(Instant::now() + GATED);
            }
        }
    }

    fn settle(&mut self, settling: Settling) {
        let partition = self.partitions.get_mut(&settling.partition);
        let Some(partition) = partition.filter(|it| it.epoch == settling.epoch) else {
            let text = "the partition has another consumer now; the message may be delivered again";
            return settling.tell(Err(unavailable(text)));
        };
        match settling.fate {
            Fate::Finish => partition.finish(settling.offset),
            Fate::Retry(after) => partition.retry(settling.offset, SystemTime::now(), after),
            Fate::Return => partition.give_back(settling.offset),
        }
        self.commits.wait_for(settling);
    }

    /// Takes what the client has. Messages do not come this way, but through the queues of their partitions.
    fn poll(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        loop {
            let polled = consumer.poll(Duration::ZERO);
            // It returns nothing after a report or a line for the log, too, and more may follow.
            if polled.is_none() && !consumer.context().was_called() {
                return;
            }
            match polled {
                Some(Ok(record)) => {
                    if let Some(partition) = self.partitions.get_mut(&record.partition()) {
                        partition.is_misplaced();
                    }
                }
                Some(Err(error)) => self.complain(&error_of(&error)),
                None => {}
            }
            match consumer.context().next() {
                Some(Report::Assigned(ids)) => self.accept(&ids),
                Some(Report::Revoked(ids)) => self.revoke(ids),
                None => {}
            }
        }
    }

    /// Does what can be done now, and returns how long to wait for more; `None` at the end.
    fn step(&mut self) -> Option<Duration> {
        if self.crashed || self.closes {
            return None;
        }
        self.finish_revocations();
        let now = SystemTime::now();
        if self.setup.stopping.is_cancelled() {
            self.reply_to_cleared(None);
            self.commit(&[]);
            let is_idle =
                self.commits.is_idle() && self.partitions.values().all(|it| !it.has_in_flight());
            return (!is_idle).then_some(TICK);
        }
        self.ask_for_progress();
        self.seek();
        self.read(now);
        self.deliver_suspect();
        let is_gated = self.deliver();
        Some(self.pause(now, is_gated))
    }

    fn pause(&self, now: SystemTime, is_gated: bool) -> Duration {
        let due = self.partitions.values().filter_map(Partition::next_due);
        let until_due = due.min().map_or(TICK, |due| {
            // Times are kept to the millisecond.
            due.duration_since(now).unwrap_or_default() + Duration::from_millis(1)
        });
        let most = if is_gated || self.crowded_until.is_some() {
            GATED
        } else if self.gathers() {
            GATHER
        } else {
            TICK
        };
        until_due.min(most)
    }

    fn complain(&mut self, error: &Error) {
        if self.outage.is_news(error) {
            let address = &self.setup.address;
            warn!(queue = &*self.setup.name, address, %error, "cannot consume; will keep retrying");
        }
    }
}
