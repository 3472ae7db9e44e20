//! What the clauses make of a server: connections and consumers that wait with a deadline.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    ConsumeOptions, Delivery, ErrorKind, Message, Queue, QueueBroker, Result, Route, SendOptions,
    Settlement,
};
use tokio::time::{sleep, timeout};

use super::BrokerServer;
use crate::suite::{EventLimit, QUIET, eventually, unique};

/// A server under test.
pub(crate) struct Fixture<S> {
    pub(crate) server: S,
    pub(crate) limit: EventLimit,
}

impl<S: BrokerServer> Fixture<S> {
    pub(crate) fn of(server: S) -> Self {
        Self {
            server,
            limit: EventLimit(S::EVENT_LIMIT),
        }
    }

    /// A driver as another process would have it.
    pub(crate) async fn connect(&self) -> Connection<S::Broker> {
        let driver = self.limit.wait("a connection", self.server.connect()).await;
        let driver = driver.expect("a connection");
        let ready = self.limit.wait("a connection", driver.ready()).await;
        ready.expect("a connection that is ready");
        Connection {
            driver,
            limit: self.limit,
        }
    }

    /// Lets the process of this connection die.
    pub(crate) async fn crash(&self, connection: &Connection<S::Broker>) {
        let crash = self.server.crash(&connection.driver);
        self.limit.wait("a crash", crash).await;
    }
}

/// A queue that no other clause uses.
pub(crate) fn new_queue() -> Queue {
    Queue::named(unique("q")).expect("a name of letters and digits")
}

/// One connection.
pub(crate) struct Connection<B> {
    pub(crate) driver: B,
    limit: EventLimit,
}

impl<B: QueueBroker> Connection<B> {
    pub(crate) async fn send(&self, queue: &Queue, body: impl Into<Bytes>) {
        self.send_with(queue, body, SendOptions::default()).await;
    }

    pub(crate) async fn send_with(
        &self,
        queue: &Queue,
        body: impl Into<Bytes>,
        options: SendOptions,
    ) {
        let route = queue.clone().into();
        let sending = self.driver.send(&route, body.into(), options);
        let sent = self.limit.wait("sending", sending).await;
        sent.expect("a message that is accepted");
    }

    /// Sends until it is accepted: while a connection heals, nobody may know whether it was, and it may arrive twice.
    pub(crate) async fn send_until_accepted(&self, queue: &Queue, body: &'static str) {
        let route = queue.clone().into();
        let accepted = async {
            loop {
                let sending = self
                    .driver
                    .send(&route, body.into(), SendOptions::default());
                match sending.await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => sleep(QUIET).await,
                    sent => return sent,
                }
            }
        };
        let sent = self.limit.wait("sending", accepted).await;
        sent.expect("a message that is accepted");
    }

    /// Sending so is refused, and nothing of it arrives.
    pub(crate) async fn refuses(&self, route: Route, options: SendOptions) {
        let queue = route.queue.clone();
        let sending = self.driver.send(&route, "{}".into(), options);
        unsupported(queue.name(), sending.await);
        self.driver.declare(&queue).await.expect("a queue");
        self.is_empty(&queue).await;
    }

    pub(crate) async fn consume(&self, queue: &Queue, prefetch: usize) -> Consumer {
        let consuming = self
            .driver
            .consume(queue, ConsumeOptions::with_prefetch(prefetch));
        let deliveries = self.limit.wait("consuming", consuming).await;
        Consumer {
            deliveries: deliveries.expect("a consumer"),
            limit: self.limit,
        }
    }

    /// So many messages wait, now or in a moment.
    pub(crate) async fn length_is(&self, queue: &Queue, expected: u64) {
        let length = || async { self.driver.length(queue).await.expect("a length") };
        eventually(
            self.limit,
            &format!("the length of `{queue}`"),
            expected,
            length,
        )
        .await;
    }

    pub(crate) async fn close(&self) {
        let closed = self.limit.wait("closing", self.driver.close()).await;
        closed.expect("a close");
    }

    /// Nothing is in the queue: neither waiting, nor on its way back to it.
    pub(crate) async fn is_empty(&self, queue: &Queue) {
        self.length_is(queue, 0).await;
        self.consume(queue, 8).await.is_quiet().await;
    }
}

/// One consumer.
pub(crate) struct Consumer {
    pub(crate) deliveries: BoxStream<'static, Delivery>,
    limit: EventLimit,
}

impl Consumer {
    /// The next delivery; `None` at the end of the stream.
    pub(crate) async fn delivery(&mut self) -> Option<Delivery> {
        self.limit.wait("a delivery", self.deliveries.next()).await
    }

    /// The next delivery.
    pub(crate) async fn next(&mut self) -> Delivery {
        self.delivery().await.expect("a stream that goes on")
    }

    /// The next delivery has this body.
    pub(crate) async fn receives(&mut self, body: &str) -> Delivery {
        let delivery = self.next().await;
        assert_eq!(body_of(delivery.message()), body);
        delivery
    }

    /// The next so many, unsettled.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(self.next().await);
        }
        taken
    }

    /// The delivery that comes within a moment, if one does.
    pub(crate) async fn next_soon(&mut self) -> Option<Delivery> {
        timeout(QUIET, self.next()).await.ok()
    }

    /// Nothing comes for a moment.
    pub(crate) async fn is_quiet(&mut self) {
        let delivery = self.next_soon().await;
        assert!(delivery.is_none(), "nothing was to come, not {delivery:?}");
    }
}

pub(crate) fn body_of(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

/// The bodies, sorted.
pub(crate) fn bodies_of(deliveries: &[Delivery]) -> Vec<String> {
    let mut bodies: Vec<_> = deliveries
        .iter()
        .map(|delivery| body_of(delivery.message()))
        .collect();
    bodies.sort();
    bodies
}

/// How long a server may take to confirm a settlement.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// Settles, and fails the clause when the server does not confirm.
pub(crate) async fn settle(delivery: Delivery, settlement: Settlement) {
    let what = format!("{settlement:?} of {delivery:?}");
    let settled = timeout(CONFIRMATION, delivery.settle(settlement)).await;
    match settled {
        Ok(result) => result.expect(&what),
        Err(_) => panic!("{what} is not confirmed"),
    }
}

pub(crate) async fn ack(delivery: Delivery) {
    settle(delivery, Settlement::Ack).await;
}

pub(crate) async fn retry(delivery: Delivery, after: Duration) {
    let reason = "the suite asked for it".to_owned();
    settle(delivery, Settlement::Retry { after, reason }).await;
}

/// What a driver does not offer is refused, with the name of what was asked for.
pub(crate) fn unsupported<T: std::fmt::Debug>(named: &str, result: Result<T>) {
    refused(ErrorKind::Unsupported, named, result);
}

/// It is refused so, with this in the text.
pub(crate) fn refused<T: std::fmt::Debug>(kind: ErrorKind, named: &str, result: Result<T>) {
    let error = result.expect_err("it was to be refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(named),
        "`{error}` does not name {named}"
    );
}
