//! From settlements to scripts: everything that is settled at the same time goes to the server at the same time.
//!
//! While the server is away settlements wait for it; there are never more of them than messages were in flight.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use microagent_core::{Error, ErrorKind, Message, Result, Settle, Settled, Settlement, header};
use redis::aio::ConnectionLike;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use super::{
    consumer::Consumer,
    keys::{Identity, QueueKeys},
    scripts,
    taken::Meta,
};
use crate::{
    backoff::Backoff,
    connection::{Commands, Connector},
};

/// The most settlements that go to the server in one go.
const BATCH: usize = 512;

/// How long a message waits whose settlement the server refused.
const REFUSED: Duration = Duration::from_secs(5);

/// Settles one delivery.
pub(super) struct Settler {
    pub(super) consumer: Arc<Consumer>,
    pub(super) identity: Arc<Identity>,
    pub(super) id: u64,
}

/// What goes to the task that carries settlements out.
pub(super) enum Order {
    Settle(Settling),
    /// Answered when everything before it is settled.
    Flush(oneshot::Sender<()>),
}

/// A message's place among those that are in flight; whoever drops it makes room for another.
struct Place(Arc<Consumer>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.credits.add_permits(1);
        self.0.gate.landed();
    }
}

/// One settlement on its way.
pub(super) struct Settling {
    /// Kept until it is carried out: what the server has not heard of may come again, and there is no more of it than prefetch
    /// allows; and what goes back to the head of the queue is there before anything else is taken.
    _place: Place,
    identity: Arc<Identity>,
    id: u64,
    action: Action,
    done: oneshot::Sender<Result<()>>,
}

enum Action {
    Ack,
    Retry { after: Duration, next: Meta },
    Bury { dead: Box<QueueKeys>, why: String },
    GiveBack,
}

impl Settle for Settler {
    fn settle(self: Box<Self>, message: &Message, settlement: Settlement) -> Settled {
        let (done, settled) = oneshot::channel();
        let action = Action::of(message, settlement);
        let settling = Settling {
            _place: Place(Arc::clone(&self.consumer)),
            identity: self.identity,
            id: self.id,
            action,
            done,
        };
        // After close nobody takes it, and the dropped `done` says so.
        let _ = self.consumer.settlements.send(Order::Settle(settling));
        Settled::waiting(settled)
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

/// Carries settlements out until the broker is dropped.
pub(super) async fn flush_all(mut orders: mpsc::UnboundedReceiver<Order>, connector: Connector) {
    let mut received = Vec::with_capacity(BATCH);
    while orders.recv_many(&mut received, BATCH).await > 0 {
        let (mut batch, mut waiting) = (Vec::with_capacity(received.len()), Vec::new());
        for order in received.drain(..) {
            match order {
                Order::Settle(settling) => batch.push(settling),
                Order::Flush(done) => waiting.push(done),
            }
        }
        flush(batch, &connector).await;
        for done in waiting {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

/// Carries these out, however long the server is away.
async fn flush(batch: Vec<Settling>, connector: &Connector) {
    let (mut left, mut backoff) = (batch, Backoff::default());
    while !left.is_empty() {
        let outage = match connector.commands().await {
            Ok(connection) => {
                let (unreached, error) = try_to_flush(left, &connection, connector).await;
                left = unreached;
                error
            }
            Err(error) if error.kind() == ErrorKind::Closed => return tell_all(left, &error),
            Err(error) => Some(error),
        };
        let Some(error) = outage else { return };
        let wait = backoff.next();
        warn!(settlements = left.len(), %error, ?wait, "settlements wait for the server");
        tokio::time::sleep(wait).await;
    }
}

/// What did not reach the server, and why.
async fn try_to_flush(
    batch: Vec<Settling>,
    connection: &Commands,
    connector: &Connector,
) -> (Vec<Settling>, Option<Error>) {
    let apart = connector.options().is_cluster();
    let groups = grouped(batch)
        .into_iter()
        .map(|group| group.flush(connection.clone(), apart));
    let (mut unreached, mut outage) = (Vec::new(), None);
    for (settlings, result) in join_all(groups).await {
        match result {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                unreached.extend(settlings);
                outage = Some(error);
            }
            Err(error) => {
                put_back_later(&settlings, connector, &error);
                tell_all(settlings, &error);
            }
            Ok(Confirmed::All) => settlings
                .into_iter()
                .for_each(|settling| settling.tell(Ok(()))),
            Ok(Confirmed::NotAll) => settlings
                .into_iter()
                .for_each(|settling| settling.tell(Err(lease_lost()))),
        }
    }
    (unreached, outage)
}

/// Gives back what the server refused to settle: it is delivered again, after a pause and whenever the server takes that.
fn put_back_later(settlings: &[Settling], connector: &Connector, error: &Error) {
    warn!(settlements = settlings.len(), %error, "the server refuses settlements; their messages will be delivered again");
    let (who, ids) = of_one_consumer(settlings);
    let connector = connector.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(REFUSED).await;
            let given = match connector.commands().await {
                Ok(mut connection) => scripts::give_back(&mut connection, &who, &ids).await,
                Err(error) => Err(error),
            };
            match given {
                Err(error) if error.kind() != ErrorKind::Closed => {
                    warn!(messages = ids.len(), %error, "messages cannot be given back; trying on");
                }
                _ => return,
            }
        }
    });
}

fn tell_all(settlings: Vec<Settling>, error: &Error) {
    for settling in settlings {
        settling.tell(Err(error.again()));
    }
}

/// Settlements that go to the server in one call.
enum Group {
    Ack(Vec<Settling>),
    GiveBack(Vec<Settling>),
    One(Settling),
}

enum Confirmed {
    All,
    /// The lease had ended before: at least some were not in flight any more.
    NotAll,
}

fn grouped(batch: Vec<Settling>) -> Vec<Group> {
    let mut acks: HashMap<*const Identity, Vec<Settling>> = HashMap::new();
    let mut returns: HashMap<*const Identity, Vec<Settling>> = HashMap::new();
    let mut groups = Vec::new();
    for settling in batch {
        let consumer = Arc::as_ptr(&settling.identity);
        match settling.action {
            Action::Ack => acks.entry(consumer).or_default().push(settling),
            Action::GiveBack => returns.entry(consumer).or_default().push(settling),
            Action::Retry { .. } | Action::Bury { .. } => groups.push(Group::One(settling)),
        }
    }
    groups.extend(acks.into_values().map(Group::Ack));
    groups.extend(returns.into_values().map(|mut settlings| {
        settlings.sort_unstable_by_key(|settling| settling.id);
        Group::GiveBack(settlings)
    }));
    groups
}

impl Group {
    async fn flush(
        self,
        mut connection: impl ConnectionLike,
        apart: bool,
    ) -> (Vec<Settling>, Result<Confirmed>) {
        let confirmed = |all: bool| {
            if all {
                Confirmed::All
            } else {
                Confirmed::NotAll
            }
        };
        match self {
            Self::One(settling) => {
                let result = settling
                    .carry_out(&mut connection, apart)
                    .await
                    .map(confirmed);
                (vec![settling], result)
            }
            Self::Ack(settlings) => {
                let (who, ids) = of_one_consumer(&settlings);
                let result = scripts::ack(&mut connection, &who, &ids).await;
                (
                    settlings,
                    result.map(|removed| confirmed(removed == ids.len())),
                )
            }
            Self::GiveBack(settlings) => {
                let (who, ids) = of_one_consumer(&settlings);
                let result = scripts::give_back(&mut connection, &who, &ids).await;
                (settlings, result.map(|given| confirmed(given == ids.len())))
            }
        }
    }
}

fn of_one_consumer(settlings: &[Settling]) -> (Arc<Identity>, Vec<u64>) {
    let ids = settlings.iter().map(|settling| settling.id).collect();
    // A group has at least one settlement, and all are of one consumer.
    (Arc::clone(&settlings[0].identity), ids)
}

impl Settling {
    /// `apart` when two queues may be on different nodes.
    async fn carry_out(&self, connection: &mut impl ConnectionLike, apart: bool) -> Result<bool> {
        match &self.action {
            Action::Retry { after, next } => {
                scripts::retry(connection, &self.identity, self.id, *after, *next).await
            }
            Action::Bury { dead, why } if apart => {
                scripts::bury_apart(connection, &self.identity, self.id, dead, why).await
            }
            Action::Bury { dead, why } => {
                scripts::bury(connection, &self.identity, self.id, dead, why).await
            }
            Action::Ack => Ok(scripts::ack(connection, &self.identity, &[self.id]).await? == 1),
            Action::GiveBack => {
                Ok(scripts::give_back(connection, &self.identity, &[self.id]).await? == 1)
            }
        }
    }

    fn tell(self, result: Result<()>) {
        // Nobody needs to wait for a settlement.
        let _ = self.done.send(result);
    }
}

fn lease_lost() -> Error {
    let text = "the lease ended before the settlement; the message is delivered again";
    Error::new(ErrorKind::Unavailable, text)
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
