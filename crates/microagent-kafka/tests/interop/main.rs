//! Beside the real Python package, on one Kafka and with one `signals.json`: what each language receives of the other.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../../../microagent-amqp/tests/interop/peer.rs"]
mod peer;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use futures_util::{StreamExt, stream::BoxStream};
use microagent_core::{
    ConsumeOptions, DeclareOptions, Delivery, Queue, QueueBroker, Route, SendOptions,
};
use microagent_kafka::KafkaBroker;
use microagent_testing::failure_suite::{until, within};
use serde_json::{Value, json};

use self::{
    peer::Peer,
    support::{connect, shared},
};

microagent_testing::needs! {
    kafka + python {
        multi_thread async fn rust_handles_what_python_sent,
        multi_thread async fn a_running_python_receives_what_rust_sent_and_nothing_from_before,
        multi_thread async fn python_receives_what_rust_handles_too,
    }
}

const LIMIT: Duration = Duration::from_secs(60);

fn difficult() -> Value {
    json!({"text": "é ☃ \u{1F600} \"\\", "number": -1.5e-7, "nothing": null, "list": [1, {"a": [true, "b"]}]})
}

async fn declared(queue: &Queue) -> KafkaBroker {
    let broker = connect(&shared().await.unwrap().dsn()).await.unwrap();
    let options = DeclareOptions::default();
    broker.declare(queue, &options).await.unwrap();
    broker
}

async fn send(broker: &KafkaBroker, to: &Queue, body: &Value, options: SendOptions) {
    let (to, body) = (Route::from(to.clone()), body.to_string().into());
    broker.send(&to, body, options).await.unwrap();
}

async fn consume(broker: &KafkaBroker, queue: &Queue) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(20);
    broker.consume(queue, options).await.unwrap()
}

async fn next(deliveries: &mut BoxStream<'static, Delivery>) -> Delivery {
    let delivery = within(LIMIT, "a delivery", deliveries.next()).await;
    delivery.expect("a stream that goes on")
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(delivery.message().payload()).unwrap()
}

/// Starts Python, and sends until it receives: what is sent right after its start, it does not.
async fn listening(broker: &KafkaBroker, queue: &Queue) -> Peer {
    let dsn = shared().await.unwrap().dsn();
    let mut python = Peer::start(&dsn, queue.name()).await;
    until("python to receive", LIMIT, async || {
        send(broker, queue, &json!({"probe": 1}), SendOptions::default()).await;
        python.ask(json!(["taken"])).await != json!([])
    })
    .await;
    python
}

/// Waits until Python has received these messages of a queue, beside the probes.
async fn receives(python: &mut Peer, queue: &Queue, expected: &[Value]) {
    until("python to receive the messages", LIMIT, async || {
        let taken = python.ask(json!(["taken"])).await;
        let taken = taken.as_array().unwrap().iter();
        let taken = taken.filter(|taken| taken[1].get("probe").is_none());
        let expected = expected.iter().map(|body| json!([queue.name(), body]));
        taken.cloned().eq(expected)
    })
    .await;
}

/// Python sends before the first Rust consumer exists, and while it runs; with a key, too. A failed message comes again.
async fn rust_handles_what_python_sent() {
    let dsn = shared().await.unwrap().dsn();
    let mut python = Peer::start(&dsn, "").await;
    let push = |body: Value, options: Value| json!(["push", "to_rust", [body], options]);
    assert_eq!(
        python.ask(push(difficult(), json!({}))).await,
        Value::Null,
        "the server creates the topic"
    );
    let queue = Queue::new("to_rust");
    let broker = connect(&dsn).await.unwrap();
    assert_eq!(broker.length(&queue).await.unwrap(), 1);
    assert_eq!(
        python.ask(json!(["length", "to_rust"])).await,
        0,
        "python knows no length"
    );
    let mut deliveries = consume(&broker, &queue).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(body(&delivery), difficult());
    assert_eq!(delivery.message().key(), None);
    delivery.retry(Duration::from_millis(50)).await.unwrap();
    let again = next(&mut deliveries).await;
    assert_eq!((body(&again), again.message().attempt()), (difficult(), 2));
    again.ack().await.unwrap();

    python
        .ask(push(json!({"n": 2}), json!({"key": "user 7"})))
        .await;
    let keyed = next(&mut deliveries).await;
    assert_eq!(body(&keyed), json!({"n": 2}));
    assert_eq!(keyed.message().key(), Some("user 7"));
    keyed.ack().await.unwrap();
    assert_eq!(broker.length(&queue).await.unwrap(), 0);
    broker.close().await.unwrap();
}

/// Python receives what is sent while it runs, also with a key, an id and headers, and nothing of what was sent before its start.
async fn a_running_python_receives_what_rust_sent_and_nothing_from_before() {
    let queue = Queue::new("to_python");
    let broker = declared(&queue).await;
    send(
        &broker,
        &queue,
        &json!({"early": 1}),
        SendOptions::default(),
    )
    .await;
    let mut python = listening(&broker, &queue).await;
    send(&broker, &queue, &difficult(), SendOptions::default()).await;
    let mut options = SendOptions::default();
    options.key = Some("user 7".to_owned());
    options.id = Some("mine".to_owned());
    options.headers = vec![("trace".to_owned(), "abc".to_owned())];
    send(&broker, &queue, &json!({"n": 2}), options).await;
    receives(&mut python, &queue, &[difficult(), json!({"n": 2})]).await;
    broker.close().await.unwrap();
}

/// A queue is not shared: Python has no group, so it receives each message that the Rust consumers handle among themselves.
async fn python_receives_what_rust_handles_too() {
    let queue = Queue::new("to_both");
    let broker = declared(&queue).await;
    let mut deliveries = consume(&broker, &queue).await;
    let mut python = listening(&broker, &queue).await;
    let mut bodies = Vec::new();
    for n in 0..20 {
        bodies.push(json!({ "n": n }));
        send(&broker, &queue, &bodies[n], SendOptions::default()).await;
    }
    let mut handled = Vec::new();
    while handled.len() < bodies.len() {
        let delivery = next(&mut deliveries).await;
        let body = body(&delivery);
        handled.extend(body.get("probe").is_none().then_some(body));
        delivery.ack().await.unwrap();
    }
    assert_eq!(handled, bodies);
    receives(&mut python, &queue, &bodies).await;
    broker.close().await.unwrap();
}
