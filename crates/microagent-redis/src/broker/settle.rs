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
    keys::{Identity, KnownMessage, QueueKeys},
    refusals::Refusals,
    scripts::{self, DeadLetter, SettleReply},
    stored::Meta,
};
use crate::connection::{Commands, Connector};

/// The most settlements that go to the server in one go.
const BATCH: usize = 512;

/// Settles one delivery.
pub(super) struct Settler {
    pub(super) slot: Slot,
    pub(super) consumer: Arc<Consumer>,
    pub(super) known: KnownMessage,
}

/// A request to the task that carries out settlements.
pub(super) enum Order {
    Settle(PendingSettlement),
    /// Answered when everything before it is settled.
    Flush(oneshot::Sender<()>),
}

/// One settlement on its way.
pub(super) struct PendingSettlement {
    /// Kept until it is carried out: what the server has not heard of may come again, and there is no more of it than prefetch
    /// allows; and what goes back to the head of the queue is there before anything else is taken.
    _slot: Slot,
    /// A broker that closes waits for the consumers that exist.
    _consumer: Arc<Consumer>,
    known: KnownMessage,
    action: Action,
    done: oneshot::Sender<Result<()>>,
    /// An earlier attempt got no answer: it may have been carried out.
    is_repeated: bool,
}

enum Action {
    Ack,
    Retry { after: Duration, next: Meta },
    DeadLetter { dead: Box<QueueKeys>, why: String },
    GiveBack,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> SettleFuture {
        let (done, settled) = oneshot::channel();
        let action = Action::of(message, settlement);
        let consumer = Arc::clone(&self.consumer);
        let settlement = PendingSettlement {
            _slot: self.slot,
            _consumer: self.consumer,
            known: self.known,
            action,
            done,
            // The client repeats commands by itself there.
            is_repeated: consumer.connector.options().is_cluster(),
        };
        // After close nobody takes it, and the dropped `done` says so.
        let _ = consumer.settlements.send(Order::Settle(settlement));
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
                Self::DeadLetter {
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
                Order::Settle(settlement) => batch.push(settlement),
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
async fn flush(batch: Vec<PendingSettlement>, connector: &Connector, refusals: &mut Refusals) {
    let (mut left, mut outage) = (batch, Outage::default());
    while !left.is_empty() {
        let failure = match connector.commands().await {
            Ok(connection) => {
                let (unreached, error) = try_to_flush(left, &connection, connector, refusals).await;
                left = unreached;
                error
            }
            Err(error) if error.kind() == ErrorKind::Closed => return report_error(left, &error),
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
    batch: Vec<PendingSettlement>,
    connection: &Commands,
    connector: &Connector,
    refusals: &mut Refusals,
) -> (Vec<PendingSettlement>, Option<Error>) {
    let apart = connector.options().is_cluster();
    let groups = grouped(batch)
        .into_iter()
        .map(|group| group.flush(connection.clone(), apart));
    let (mut unreached, mut outage) = (Vec::new(), None);
    for (mut settlements, result) in join_all(groups).await {
        match result {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                for settlement in &mut settlements {
                    settlement.is_repeated = true;
                }
                unreached.extend(settlements);
                outage = Some(error);
            }
            Err(error) => refusals.put_back(settlements, connector, &error),
            Ok(settled) => report_reply(settlements, &settled),
        }
    }
    (unreached, outage)
}

fn report_error(settlements: Vec<PendingSettlement>, error: &Error) {
    for settlement in settlements {
        settlement.report(Err(error.without_source()));
    }
}

/// Reports the server's answer to each settlement of one call.
fn report_reply(settlements: Vec<PendingSettlement>, settled: &SettleReply) {
    let all_settled = settled.count == settlements.len();
    for settlement in settlements {
        let id = &settlement.known.id;
        // Only calls with several messages name those that were not in flight.
        let is_settled = all_settled || (settled.count > 0 && !settled.missing.contains(id));
        // A repeated settlement that no other consumer can have overtaken was carried out by the earlier attempt.
        let result = if is_settled || (settled.has_lease && settlement.is_repeated) {
            Ok(())
        } else if settled.has_lease {
            Err(not_in_flight())
        } else {
            Err(lease_lost())
        };
        settlement.report(result);
    }
}

/// Settlements that go to the server in one call.
enum Group {
    Ack(Vec<PendingSettlement>),
    GiveBack(Vec<PendingSettlement>),
    One(PendingSettlement),
}

/// Those of one consumer that have been sent equally often go together.
fn grouped(batch: Vec<PendingSettlement>) -> Vec<Group> {
    let mut acks: HashMap<_, Vec<PendingSettlement>> = HashMap::new();
    let mut returns: HashMap<_, Vec<PendingSettlement>> = HashMap::new();
    let mut groups = Vec::new();
    for settlement in batch {
        let consumer = Arc::as_ptr(&settlement.known.identity);
        let group = (consumer, settlement.is_repeated);
        match settlement.action {
            Action::Ack => acks.entry(group).or_default().push(settlement),
            Action::GiveBack => returns.entry(group).or_default().push(settlement),
            Action::Retry { .. } | Action::DeadLetter { .. } => groups.push(Group::One(settlement)),
        }
    }
    groups.extend(acks.into_values().map(Group::Ack));
    groups.extend(returns.into_values().map(|mut settlements| {
        settlements.sort_unstable_by_key(|settlement| settlement.known.id);
        Group::GiveBack(settlements)
    }));
    groups
}

impl Group {
    async fn flush(
        self,
        mut connection: impl ConnectionLike,
        apart: bool,
    ) -> (Vec<PendingSettlement>, Result<SettleReply>) {
        match self {
            Self::One(settlement) => {
                let result = settlement.carry_out(&mut connection, apart).await;
                (vec![settlement], result)
            }
            Self::Ack(settlements) => {
                let (who, ids) = of_one_consumer(&settlements);
                let result = scripts::ack(&mut connection, &who, &ids).await;
                (settlements, result)
            }
            Self::GiveBack(settlements) => {
                let (who, ids) = of_one_consumer(&settlements);
                let result = scripts::give_back(&mut connection, &who, &ids).await;
                (settlements, result)
            }
        }
    }
}

fn of_one_consumer(settlements: &[PendingSettlement]) -> (Arc<Identity>, Vec<u64>) {
    let ids = settlements
        .iter()
        .map(|settlement| settlement.known.id)
        .collect();
    // A group has at least one settlement, and all are of one consumer.
    (Arc::clone(&settlements[0].known.identity), ids)
}

impl PendingSettlement {
    /// `apart` when two queues may be on different nodes.
    async fn carry_out(
        &self,
        connection: &mut impl ConnectionLike,
        apart: bool,
    ) -> Result<SettleReply> {
        let KnownMessage { identity, id } = &self.known;
        match &self.action {
            Action::Retry { after, next } => {
                scripts::retry(connection, identity, *id, *after, *next).await
            }
            Action::DeadLetter { dead, why } => {
                let id = id.to_string();
                let dead_letter = DeadLetter {
                    queue: &identity.queue,
                    hash: &identity.taken,
                    consumer: &identity.consumer,
                    id: id.as_bytes(),
                    dead,
                    why,
                };
                dead_letter.move_to_queue(connection, apart).await
            }
            Action::Ack => scripts::ack(connection, identity, &[*id]).await,
            Action::GiveBack => scripts::give_back(connection, identity, &[*id]).await,
        }
    }

    /// Tells of a refusal, and makes room for another message; what is returned keeps this one known.
    pub(super) fn refuse(self, error: &Error) -> KnownMessage {
        let _ = self.done.send(Err(error.without_source()));
        self.known
    }

    fn report(self, result: Result<()>) {
        // Nobody needs to wait for a settlement.
        let _ = self.done.send(result);
    }
}

fn lease_lost() -> Error {
    let text = "the lease ended before the settlement; the message may be delivered again";
    Error::new(ErrorKind::Unavailable, text)
}

fn not_in_flight() -> Error {
    let text = "the message is no longer in flight: another client removed it from the server";
    Error::new(ErrorKind::Driver, text)
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("id", &self.known.id)
            .finish_non_exhaustive()
    }
}
