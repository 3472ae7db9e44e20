//! Many messages at the same time.

use std::collections::BTreeSet;

use futures_util::{StreamExt, future::join_all, stream};

use super::{
    BrokerServer,
    fixture::{Fixture, ack, body_of, new_queue},
};

/// A thousand messages for the consumers of two processes: each is delivered once.
pub async fn a_thousand_through_two_consumers<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    let (one, other) = (
        here.consume(&queue, 16).await,
        there.consume(&queue, 16).await,
    );
    let sender = async {
        for hundred in 0..10 {
            let bodies = (0..100).map(|n| format!("{}", hundred * 100 + n));
            join_all(bodies.map(|body| here.send(&queue, body))).await;
        }
    };
    let consumers = async {
        let deliveries = stream::select(one.deliveries, other.deliveries).take(1_000);
        let handled = deliveries.map(|delivery| async {
            let body = body_of(delivery.message());
            ack(delivery).await;
            body
        });
        handled.buffer_unordered(32).collect::<Vec<_>>().await
    };
    let (bodies, ()) = tokio::join!(consumers, sender);
    let different: BTreeSet<_> = bodies.iter().collect();
    assert_eq!((bodies.len(), different.len()), (1_000, 1_000));
    there.is_empty(&queue).await;
}

/// All messages that several processes send at the same time arrive.
pub async fn concurrent_senders_lose_nothing<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let queue = new_queue();
    let connections = join_all((0..4).map(|_| fixture.connect())).await;
    let mut consumer = connections[0].consume(&queue, 8).await;
    let senders = connections.iter().enumerate().map(|(who, connection)| {
        let queue = &queue;
        async move {
            for n in 0..50 {
                connection.send(queue, format!("{who}-{n}")).await;
            }
        }
    });
    let receiver = async {
        let mut bodies = BTreeSet::new();
        for _ in 0..200 {
            let delivery = consumer.next().await;
            assert!(
                bodies.insert(body_of(delivery.message())),
                "{delivery:?} came twice"
            );
            ack(delivery).await;
        }
    };
    tokio::join!(join_all(senders), receiver);
}
