//! The task that carries out settlements: it sends all that wait in one go.
//!
//! While the server is away settlements wait for it; there are never more of them than messages were in flight.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use microagent_core::{
    Error, ErrorKind, Message, Result, Settle, SettleFuture, Settlement,
    driver::{Outage, Slot},
    header,
};
use redis::aio::ConnectionLike;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::{
    consumer::Consumer,
    keys::{Held, Identity, QueueKeys},
    refusals::Refusals,
    scripts::{self, DeadLetter, Settled as Answer},
    taken::Meta,
};
use crate::connection::{Commands, Connector};

/// The most settlements that go to the server in one go.
const BATCH: usize = 512;

/// Settles one delivery.
pub(super) struct Settler {
    pub(super) slot: Slot,
    pub(super) consumer: Arc<Consumer>,
    pub(super) held: Held,
}

/// A request to the task that carries out settlements.
pub(super) enum Order {
    Settle(Settling),
    /// Answered when everything before it is settled.
    Flush(oneshot::Sender<()>),
}

/// One settlement on its way.
pub(super) struct Settling {
    /// Kept until it is carried out: what the server has not heard of may come again, and there is no more of it than prefetch
    /// allows; and what goes back to the head of the queue is there before anything else is taken.
    _slot: Slot,
    /// A broker that closes waits for the consumers that exist.
    _consumer: Arc<Consumer>,
    held: Held,
    action: Action,
    done: oneshot::Sender<Result<()>>,
    /// An earlier attempt got no answer: it may have been carried out.
    is_repeated: bool,
}

enum Action {
    Ack,
    Retry { after: Duration, next: Meta },
    Bury { dead: Box<QueueKeys>, why: String },
    GiveBack,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        let (done, settled) = oneshot::channel();
        let action = Action::of(message, settlement);
        let consumer = Arc::clone(&self.consumer);
        let settling = Settling {
            _slot: self.slot,
            _consumer: self.consumer,
            held: self.held,
            action,
            done,
            // The client repeats commands by itself there.
            is_repeated: consumer.connector.options().is_cluster(),
        };
        // After close nobody takes it, and the dropped `done` says so.
        let _ = consumer.settlements.send(Order::Settle(settling));
        SettleFuture::waiting(settled)
    }
}

impl Action {
    fn of(message: &Message, settlement: Settlement) -> Self {
        match settlement {
            Settlement::Ack => Self::Ack,
            Settlement::Return => Self::GiveBack,
            Settlement::Retry { after, .. } => {
                let next = Meta::of(message).failed(SystemTime::now());
                Self::Retry { after, next }
            }
            Settlement::DeadLetter {
                queue,
                reason,
                detail,
            } => {
                let headers = header::of_dead_letter(message, reason, &detail, SystemTime::now());
                // A list of pairs of texts can always be written.
                let why = serde_json::to_string(&headers).unwrap_or_default();
                Self::Bury {
                    dead: Box::new(QueueKeys::of(&queue)),
                    why,
                }
            }
        }
    }
}

/// Carries out settlements until the broker is dropped.
pub(super) async fn flush_all(mut orders: mpsc::UnboundedReceiver<Order>, connector: Connector) {
    let (mut received, mut refusals) = (Vec::with_capacity(BATCH), Refusals::default());
    while orders.recv_many(&mut received, BATCH).await > 0 {
        let (mut batch, mut waiting) = (Vec::with_capacity(received.len()), Vec::new());
        for order in received.drain(..) {
            match order {
                Order::Settle(settling) => batch.push(settling),
                Order::Flush(done) => waiting.push(done),
            }
        }
        flush(batch, &connector, &mut refusals).await;
        for done in waiting {
            // The receiver may have been dropped.
            let _ = done.send(());
        }
    }
}

/// Carries out these settlements, and retries while the server is away.
async fn flush(batch: Vec<Settling>, connector: &Connector, refusals: &mut Refusals) {
    let (mut left, mut outage) = (batch, Outage::default());
    while !left.is_empty() {
        let failure = match connector.commands().await {
            Ok(connection) => {
                let (unreached, error) = try_to_flush(left, &connection, connector, refusals).await;
                left = unreached;
                error
            }
            Err(error) if error.kind() == ErrorKind::Closed => return tell_all(left, &error),
            Err(error) => Some(error),
        };
        let Some(error) = failure else { return };
        if outage.is_news(&error) {
            warn!(settlements = left.len(), %error, "cannot settle messages; will keep retrying");
        }
        tokio::time::sleep(outage.pause()).await;
    }
}

/// Sends settlements, and returns those that did not reach the server, with the error.
async fn try_to_flush(
    batch: Vec<Settling>,
    connection: &Commands,
    connector: &Connector,
    refusals: &mut Refusals,
) -> (Vec<Settling>, Option<Error>) {
    let apart = connector.options().is_cluster();
    let groups = grouped(batch)
        .into_iter()
        .map(|group| group.flush(connection.clone(), apart));
    let (mut unreached, mut outage) = (Vec::new(), None);
    for (mut settlings, result) in join_all(groups).await {
        match result {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                for settling in &mut settlings {
                    settling.is_repeated = true;
                }
                unreached.extend(settlings);
                outage = Some(error);
            }
            Err(error) => refusals.put_back(settlings, connector, &error),
            Ok(settled) => tell_all_of(settlings, &settled),
        }
    }
    (unreached, outage)
}

fn tell_all(settlings: Vec<Settling>, error: &Error) {
    for settling in settlings {
        settling.tell(Err(error.without_source()));
    }
}

/// Reports the server's answer to each settlement of one call.
fn tell_all_of(settlings: Vec<Settling>, settled: &Answer) {
    let all_settled = settled.count == settlings.len();
    for settling in settlings {
        let id = &settling.held.id;
        // Only calls with several messages name those that were not in flight.
        let is_settled = all_settled || (settled.count > 0 && !settled.missing.contains(id));
        // A repeated settlement that no other consumer can have overtaken was carried out by the earlier attempt.
        let result = if is_settled || (settled.has_lease && settling.is_repeated) {
            Ok(())
        } else if settled.has_lease {
            Err(not_in_flight())
        } else {
            Err(lease_lost())
        };
        settling.tell(result);
    }
}

/// Settlements that go to the server in one call.
enum Group {
    Ack(Vec<Settling>),
    GiveBack(Vec<Settling>),
    One(Settling),
}

/// Those of one consumer that have been sent equally often go together.
fn grouped(batch: Vec<Settling>) -> Vec<Group> {
    let mut acks: HashMap<_, Vec<Settling>> = HashMap::new();
    let mut returns: HashMap<_, Vec<Settling>> = HashMap::new();
    let mut groups = Vec::new();
    for settling in batch {
        let consumer = Arc::as_ptr(&settling.held.identity);
        let group = (consumer, settling.is_repeated);
        match settling.action {
            Action::Ack => acks.entry(group).or_default().push(settling),
            Action::GiveBack => returns.entry(group).or_default().push(settling),
            Action::Retry { .. } | Action::Bury { .. } => groups.push(Group::One(settling)),
        }
    }
    groups.extend(acks.into_values().map(Group::Ack));
    groups.extend(returns.into_values().map(|mut settlings| {
        settlings.sort_unstable_by_key(|settling| settling.held.id);
        Group::GiveBack(settlings)
    }));
    groups
}

impl Group {
    async fn flush(
        self,
        mut connection: impl ConnectionLike,
        apart: bool,
    ) -> (Vec<Settling>, Result<Answer>) {
        match self {
            Self::One(settling) => {
                let result = settling.carry_out(&mut connection, apart).await;
                (vec![settling], result)
            }
            Self::Ack(settlings) => {
                let (who, ids) = of_one_consumer(&settlings);
                let result = scripts::ack(&mut connection, &who, &ids).await;
                (settlings, result)
            }
            Self::GiveBack(settlings) => {
                let (who, ids) = of_one_consumer(&settlings);
                let result = scripts::give_back(&mut connection, &who, &ids).await;
                (settlings, result)
            }
        }
    }
}

fn of_one_consumer(settlings: &[Settling]) -> (Arc<Identity>, Vec<u64>) {
    let ids = settlings.iter().map(|settling| settling.held.id).collect();
    // A group has at least one settlement, and all are of one consumer.
    (Arc::clone(&settlings[0].held.identity), ids)
}

impl Settling {
    /// `apart` when two queues may be on different nodes.
    async fn carry_out(&self, connection: &mut impl ConnectionLike, apart: bool) -> Result<Answer> {
        let Held { identity, id } = &self.held;
        match &self.action {
            Action::Retry { after, next } => {
                scripts::retry(connection, identity, *id, *after, *next).await
            }
            Action::Bury { dead, why } => {
                let id = id.to_string();
                let letter = DeadLetter {
                    queue: &identity.queue,
                    hash: &identity.taken,
                    consumer: &identity.consumer,
                    id: id.as_bytes(),
                    dead,
                    why,
                };
                letter.bury(connection, apart).await
            }
            Action::Ack => scripts::ack(connection, identity, &[*id]).await,
            Action::GiveBack => scripts::give_back(connection, identity, &[*id]).await,
        }
    }

    /// Tells of a refusal, and makes room for another message; what is returned keeps this one known.
    pub(super) fn refuse(self, error: &Error) -> Held {
        let _ = self.done.send(Err(error.without_source()));
        self.held
    }

    fn tell(self, result: Result<()>) {
        // Nobody needs to wait for a settlement.
        let _ = self.done.send(result);
    }
}

fn lease_lost() -> Error {
    let text = "the lease ended before the settlement; the message may be delivered again";
    Error::new(ErrorKind::Unavailable, text)
}

fn not_in_flight() -> Error {
    let text = "the message was no longer in flight; somebody removed it from the server";
    Error::new(ErrorKind::Driver, text)
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("id", &self.held.id)
            .finish_non_exhaustive()
    }
}
