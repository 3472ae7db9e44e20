//! The end of a connection, and the messages that stay when all connections have ended.

use microagent_core::{
    ConsumeOptions, DeclareOptions, ErrorKind, QueueBroker, SendOptions, Settlement,
};

use super::{
    BrokerServer,
    fixture::{Fixture, ack, body_of, new_queue},
};
use crate::suite::eventually;

/// Settlements that were passed to the driver are done before the connection ends.
pub async fn close_flushes_settlements<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for n in 0..50 {
        here.send(&queue, n.to_string()).await;
    }
    let held = here.consume(&queue, 50).await.take(50).await;
    for delivery in held {
        drop(delivery.settle(Settlement::Ack));
    }
    here.close().await;
    there.is_empty(&queue).await;
}

/// `close` ends the streams; messages in flight are delivered to other consumers.
pub async fn close_ends_the_streams<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let mut consumer = here.consume(&queue, 1).await;
    let mut idle = here.consume(&new_queue(), 1).await;
    there.send(&queue, "1").await;
    let held = consumer.receives("1").await;
    here.close().await;
    assert!(
        consumer.delivery().await.is_none(),
        "a delivery came after the close"
    );
    assert!(
        idle.delivery().await.is_none(),
        "a delivery came out of an empty queue"
    );
    ack(there.consume(&queue, 1).await.receives("1").await).await;
    drop(held);
    there.is_empty(&queue).await;
}

/// Each method of a closed connection fails with `Closed`.
pub async fn a_closed_broker_says_so<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    here.declare(&queue).await;
    here.close().await;
    let driver = &here.driver;
    let route = queue.clone().into();
    let errors = [
        driver
            .send(&route, "{}".into(), SendOptions::default())
            .await
            .err(),
        driver
            .consume(&queue, ConsumeOptions::default())
            .await
            .err(),
        driver.length(&queue).await.err(),
        driver
            .declare(&queue, &DeclareOptions::default())
            .await
            .err(),
        driver.ready().await.err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Closed));
    }
}

/// A connection that is ready is up, and after its close it is not; or the driver does not report its state.
pub async fn a_connection_tells_its_state<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let here = fixture.connect().await;
    if !here.driver.caps().connection {
        return assert_eq!(here.driver.connection(), None);
    }
    let is_up = || async { here.driver.connection().expect("a state").up };
    eventually(fixture.limit, "whether the connection is up", true, is_up).await;
    here.close().await;
    let after = here.driver.connection().expect("a state");
    assert!(!after.up && after.last_error.is_some(), "{after:?}");
}

/// Closing twice, also at the same time, succeeds.
pub async fn closing_twice_is_harmless<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let here = fixture.connect().await;
    tokio::join!(here.close(), here.close());
    here.close().await;
}

/// The end of one connection does not change the others.
pub async fn closing_one_leaves_the_others<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (closed, open, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let _idle = closed.consume(&queue, 1).await;
    let mut consumer = open.consume(&queue, 1).await;
    closed.close().await;
    for n in 0..3 {
        open.send(&queue, n.to_string()).await;
        ack(consumer.receives(&n.to_string()).await).await;
    }
}

/// Messages survive the end of every connection if the driver promises it; otherwise they end with the last connection, and a
/// message that is sent later is delivered alone.
pub async fn messages_outlive_all_connections_or_end_with_them<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, queue) = (fixture.connect().await, new_queue());
    let caps = here.driver.caps();
    let durable = caps.durable;
    for n in 0..3 {
        here.send(&queue, n.to_string()).await;
    }
    let mut consumer = here.consume(&queue, 1).await;
    ack(consumer.receives("0").await).await;
    here.close().await;
    drop((consumer, here));
    if !durable {
        // Tasks of a connection may end a moment after it.
        let waiting = || async { fixture.connect().await.driver.length(&queue).await.ok() };
        eventually(fixture.limit, "what waits", Some(0), waiting).await;
    }

    let later = fixture.connect().await;
    later.send(&queue, "3").await;
    let mut consumer = later.consume(&queue, 1).await;
    let expected = if durable {
        &["1", "2", "3"][..]
    } else {
        &["3"]
    };
    let mut received = Vec::new();
    for _ in expected {
        let delivery = consumer.next().await;
        received.push(body_of(delivery.message()));
        ack(delivery).await;
    }
    if caps.returns_to_tail {
        // The first consumer may have had a message, which went behind the others.
        received.sort();
    }
    assert_eq!(received, expected);
    consumer.is_quiet().await;
}
