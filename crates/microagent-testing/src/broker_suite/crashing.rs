//! Messages whose process died with them, and connections that were cut.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join;
use microagent_core::{Delivery, QueueBroker, Settlement};

use super::{
    BrokerServer,
    fixture::{Fixture, ack, bodies_of, new_queue, retry, settle},
};

/// A message whose process died with it is delivered again as a suspect: the crash is counted, the attempt is not.
pub async fn a_crash_returns_what_was_in_flight<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dying, other, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    other.send(&queue, r#"{"n":1}"#).await;
    let mut consumer = dying.consume(&queue, 1).await;
    retry(consumer.next().await, Duration::ZERO).await;
    let _in_flight = consumer.next().await;
    fixture.crash(&dying).await;
    let suspect = other.consume(&queue, 1).await.receives(r#"{"n":1}"#).await;
    assert_eq!(
        (suspect.message().attempt(), suspect.message().crashes()),
        (2, 1)
    );
    ack(suspect).await;
    other.is_empty(&queue).await;
}

/// Every crash is counted until the message is settled.
pub async fn crashes_add_up<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (other, queue) = (fixture.connect().await, new_queue());
    other.send(&queue, "killer").await;
    for crashes in 0..3 {
        let dying = fixture.connect().await;
        let in_flight = dying.consume(&queue, 1).await.receives("killer").await;
        assert_eq!(in_flight.message().crashes(), crashes);
        fixture.crash(&dying).await;
    }
    let suspect = other.consume(&queue, 1).await.receives("killer").await;
    assert_eq!(
        (suspect.message().attempt(), suspect.message().crashes()),
        (1, 3)
    );
    ack(suspect).await;
}

/// A message that waited in the queue, or was returned before, is not a suspect.
pub async fn a_crash_suspects_only_what_was_in_flight<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dying, other, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for body in ["in flight", "returned", "waiting"] {
        other.send(&queue, body).await;
    }
    let mut held = dying.consume(&queue, 2).await.take(2).await;
    settle(held.remove(1), Settlement::Return).await;
    fixture.crash(&dying).await;
    let mut consumer = other.consume(&queue, 1).await;
    let mut crashed = Vec::new();
    for _ in 0..3 {
        let delivery = consumer.next().await;
        if delivery.message().crashes() > 0 {
            crashed.extend(bodies_of(std::slice::from_ref(&delivery)));
        }
        ack(delivery).await;
    }
    assert_eq!(crashed, ["in flight"]);
}

/// A suspect is delivered when the process has no other message in flight, and no other message is delivered beside it.
pub async fn suspects_run_alone<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dying, other, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    for n in 0..5 {
        other.send(&queue, n.to_string()).await;
    }
    let _in_flight = dying.consume(&queue, 2).await.take(2).await;
    fixture.crash(&dying).await;
    let mut consumer = other.consume(&queue, 10).await;
    let (mut bystanders, mut suspects, mut settled) = (Vec::new(), 0, 0);
    while settled < 5 {
        match consumer.next_soon().await {
            Some(suspect) if suspect.message().crashes() > 0 => {
                assert!(
                    bystanders.is_empty(),
                    "{suspect:?} came beside {bystanders:?}"
                );
                consumer.is_quiet().await;
                ack(suspect).await;
                (suspects, settled) = (suspects + 1, settled + 1);
            }
            Some(bystander) => bystanders.push(bystander),
            None => {
                settled += bystanders.len();
                ack_all(&mut bystanders).await;
            }
        }
    }
    assert_eq!(suspects, 2);
}

async fn ack_all(deliveries: &mut Vec<Delivery>) {
    for delivery in deliveries.drain(..) {
        ack(delivery).await;
    }
}

/// A suspect is alone in its process, not only in its queue.
pub async fn suspects_run_alone_among_queues<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dying, other) = (fixture.connect().await, fixture.connect().await);
    let (queue, neighbour) = (new_queue(), new_queue());
    other.send(&queue, "suspect").await;
    let _in_flight = dying.consume(&queue, 1).await.next().await;
    other.send(&neighbour, "1").await;
    let mut neighbours = other.consume(&neighbour, 4).await;
    let bystander = neighbours.receives("1").await;
    fixture.crash(&dying).await;
    let mut consumer = other.consume(&queue, 4).await;
    consumer.is_quiet().await;
    ack(bystander).await;
    let suspect = consumer.receives("suspect").await;
    other.send(&neighbour, "2").await;
    neighbours.is_quiet().await;
    ack(suspect).await;
    ack(neighbours.receives("2").await).await;
}

/// A delivery of a dead process cannot settle its message: the message stays with its new consumer.
pub async fn the_dead_settle_nothing<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (dying, other, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    other.send(&queue, "1").await;
    let late = dying.consume(&queue, 1).await.next().await;
    fixture.crash(&dying).await;
    let suspect = other.consume(&queue, 1).await.next().await;
    assert!(
        late.ack().await.is_err(),
        "a dead process's settlement was confirmed"
    );
    retry(suspect, Duration::ZERO).await;
    ack(other.consume(&queue, 1).await.receives("1").await).await;
}

/// A consumer continues after its connections were cut: messages that it had in flight, and messages sent meanwhile, are delivered.
pub async fn a_cut_connection_is_restored<S: BrokerServer>(server: S) {
    let fixture = Fixture::of(server);
    let (here, there, queue) = (
        fixture.connect().await,
        fixture.connect().await,
        new_queue(),
    );
    there.send(&queue, "1").await;
    let mut consumer = here.consume(&queue, 4).await;
    let held = consumer.receives("1").await;
    // A driver without a connection keeps the same promise.
    fixture.server.cut().await.expect("a cut");
    let ready = join(here.driver.ready(), there.driver.ready());
    let (one, other) = fixture.limit.wait("the connections", ready).await;
    one.and(other).expect("connections that are restored");
    drop(held);
    there.send_until_accepted(&queue, "2").await;
    let mut bodies = BTreeSet::new();
    while bodies.len() < 2 {
        let delivery = consumer.next().await;
        bodies.extend(bodies_of(std::slice::from_ref(&delivery)));
        // A message whose connection was lost may be delivered again.
        let _ = delivery.ack().await;
    }
    assert!(bodies.iter().eq(["1", "2"]), "{bodies:?}");
}
