//! The objects that the clauses use: a server with connections and consumers that wait with a limit.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    ConsumeOptions, DeclareOptions, Delivery, ErrorKind, LengthCounts, Message, Queue, QueueBroker,
    Result, Route, SendOptions, Settlement,
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

    /// Opens a connection, as another process would.
    pub(crate) async fn connect(&self) -> Connection<S::Broker> {
        let driver = self.limit.wait("a connection", self.server.connect()).await;
        let driver = driver.expect("a connection");
        let ready = self.limit.wait("a connection", driver.ready()).await;
        ready.expect("a connection that is ready");
        Connection {
            driver,
            limit: self.limit,
            quiet: S::QUIET,
        }
    }

    /// Ends a connection as the death of its process would.
    pub(crate) async fn crash(&self, connection: &Connection<S::Broker>) {
        let crash = self.server.crash(&connection.driver);
        self.limit.wait("a crash", crash).await;
    }
}

/// Returns a queue that no other clause uses.
pub(crate) fn new_queue() -> Queue {
    Queue::named(unique("q")).expect("a name of letters and digits")
}

/// One connection.
pub(crate) struct Connection<B> {
    pub(crate) driver: B,
    limit: EventLimit,
    quiet: Duration,
}

impl<B: QueueBroker> Connection<B> {
    pub(crate) async fn send(&self, queue: &Queue, body: impl Into<Bytes>) {
        self.send_with(queue, body, SendOptions::default()).await;
    }

    /// Declares the queue, which a driver may need, and sends the message.
    pub(crate) async fn send_with(
        &self,
        queue: &Queue,
        body: impl Into<Bytes>,
        options: SendOptions,
    ) {
        self.declare(queue).await;
        let route = queue.clone().into();
        let sending = self.driver.send(&route, body.into(), options);
        let sent = self.limit.wait("sending", sending).await;
        sent.expect("a message that is accepted");
    }

    pub(crate) async fn declare(&self, queue: &Queue) {
        let options = DeclareOptions::default();
        let declaring = self.driver.declare(queue, &options);
        let declared = self.limit.wait("declaring", declaring).await;
        declared.expect("a queue");
    }

    /// Sends until the driver accepts it. While a connection is restored, a send may fail although the message arrives, so it may
    /// arrive twice.
    pub(crate) async fn send_until_accepted(&self, queue: &Queue, body: &'static str) {
        let route = queue.clone().into();
        let accepted = async {
            loop {
                let options = DeclareOptions::default();
                match self.driver.declare(queue, &options).await {
                    Err(error) if error.kind() == ErrorKind::Unavailable => sleep(QUIET).await,
                    declared => break declared?,
                }
            }
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

    /// Asserts that the driver rejects the message, and that nothing of it arrives.
    pub(crate) async fn refuses(&self, route: Route, options: SendOptions) {
        let queue = route.queue.clone();
        let sending = self.driver.send(&route, "{}".into(), options);
        unsupported(queue.name(), sending.await);
        self.declare(&queue).await;
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
            quiet: self.quiet,
        }
    }

    /// Waits until this many messages wait.
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

    /// The length becomes what the driver counts of a queue in which so many messages wait and so many are not settled.
    pub(crate) async fn length_counts(&self, queue: &Queue, waiting: u64, unsettled: u64) {
        let expected = match self.driver.caps().length {
            LengthCounts::Waiting => waiting,
            LengthCounts::Unsettled => unsettled,
        };
        self.length_is(queue, expected).await;
    }

    pub(crate) async fn close(&self) {
        let closed = self.limit.wait("closing", self.driver.close()).await;
        closed.expect("a close");
    }

    /// Asserts that the queue is empty: no message waits or returns to it.
    pub(crate) async fn is_empty(&self, queue: &Queue) {
        self.length_is(queue, 0).await;
        self.consume(queue, 8).await.is_quiet().await;
    }
}

/// One consumer.
pub(crate) struct Consumer {
    pub(crate) deliveries: BoxStream<'static, Delivery>,
    limit: EventLimit,
    quiet: Duration,
}

impl Consumer {
    /// Returns the next delivery; `None` at the end of the stream.
    pub(crate) async fn delivery(&mut self) -> Option<Delivery> {
        self.limit.wait("a delivery", self.deliveries.next()).await
    }

    /// Returns the next delivery.
    pub(crate) async fn next(&mut self) -> Delivery {
        self.delivery().await.expect("a stream that does not end")
    }

    /// Asserts that the next delivery has this body, and returns it.
    pub(crate) async fn receives(&mut self, body: &str) -> Delivery {
        let delivery = self.next().await;
        assert_eq!(body_of(delivery.message()), body);
        delivery
    }

    /// Returns this many next deliveries, unsettled.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(self.next().await);
        }
        taken
    }

    /// Returns the delivery that arrives within [`QUIET`], if there is one.
    pub(crate) async fn next_soon(&mut self) -> Option<Delivery> {
        timeout(self.quiet, self.next()).await.ok()
    }

    /// Asserts that no delivery arrives within [`QUIET`].
    pub(crate) async fn is_quiet(&mut self) {
        let delivery = self.next_soon().await;
        assert!(delivery.is_none(), "expected no delivery, got {delivery:?}");
    }
}

pub(crate) fn body_of(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

/// Returns the bodies, sorted.
pub(crate) fn bodies_of(deliveries: &[Delivery]) -> Vec<String> {
    let mut bodies: Vec<_> = deliveries
        .iter()
        .map(|delivery| body_of(delivery.message()))
        .collect();
    bodies.sort();
    bodies
}

/// The time within which a server must confirm a settlement.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// Settles a delivery, and fails the clause if the server does not confirm it.
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

/// Asserts that the driver rejects an option that it does not support, with its name.
pub(crate) fn unsupported<T: std::fmt::Debug>(named: &str, result: Result<T>) {
    refused(ErrorKind::Unsupported, named, result);
}

/// Asserts that the result is an error of this kind, with this name in its text.
pub(crate) fn refused<T: std::fmt::Debug>(kind: ErrorKind, named: &str, result: Result<T>) {
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(named),
        "`{error}` does not name {named}"
    );
}
