//! Beside the real Python package, on one RabbitMQ and with one `signals.json`: queues and exchanges, both ways.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod peer;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::BoxStream};
use microagent_amqp::{AmqpBroker, AmqpProperties};
use microagent_core::{
    ConsumeOptions, Declarations, Delivery, Queue, QueueBroker, Route, SendOptions,
};
use microagent_testing::RabbitMqServer;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::{
    peer::Peer,
    support::{connect, shared},
};

microagent_testing::needs! {
    rabbitmq + python {
        multi_thread async fn rust_handles_what_python_sent,
        multi_thread async fn python_handles_what_rust_sent,
        multi_thread async fn a_queue_that_rust_declared_for_python_is_shared,
        multi_thread async fn python_sends_to_a_durable_queue_and_cannot_ask_its_length,
        multi_thread async fn a_fanout_exchange_reaches_both_languages_from_both,
        multi_thread async fn a_topic_exchange_reaches_both_languages_from_both,
        multi_thread async fn five_thousand_messages_are_handled_once_in_competition,
        multi_thread async fn after_a_restart_of_the_server_whoever_is_first_declares,
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// The queues of both languages, declared as Python declares them.
const LIKE_PYTHON: &str = "?durable=false";

fn difficult() -> Value {
    json!({"text": "é ☃ \u{1F600} \"\\", "number": -1.5e-7, "nothing": null, "list": [1, {"a": [true, "b"]}]})
}

async fn send(broker: &AmqpBroker, to: impl Into<Route>, body: &Value) {
    let (to, body) = (to.into(), body.to_string().into());
    broker
        .send(&to, body, SendOptions::default())
        .await
        .unwrap();
}

async fn consume(broker: &AmqpBroker, queue: &Queue) -> BoxStream<'static, Delivery> {
    let options = ConsumeOptions::with_prefetch(20);
    broker.consume(queue, options).await.unwrap()
}

async fn next(deliveries: &mut BoxStream<'static, Delivery>) -> Delivery {
    let delivery = timeout(LIMIT, deliveries.next())
        .await
        .expect("a delivery in time");
    delivery.expect("a stream that goes on")
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_slice(delivery.message().payload()).unwrap()
}

/// Asks until it is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn takes(python: &mut Peer, expected: &Value) {
    until("python to handle", async || {
        python.ask(json!(["taken"])).await == *expected
    })
    .await;
}

/// A virtual host of a test's own on the shared server: the queues have the names of the file.
async fn own_vhost(name: &str) -> String {
    let server = shared().await.unwrap();
    server.control(&["add_vhost", name]).await.unwrap();
    let permissions = ["set_permissions", "-p", name, "guest", ".*", ".*", ".*"];
    server.control(&permissions).await.unwrap();
    format!("{}{name}", server.dsn())
}

async fn rust_handles_what_python_sent() {
    let dsn = own_vhost("to_rust").await;
    let mut python = Peer::start(&dsn, "").await;
    // The question declares the queue.
    assert_eq!(python.ask(json!(["length", "to_rust"])).await, 0);
    python
        .ask(json!(["push", "to_rust", [difficult()], {}]))
        .await;

    let broker = connect(&format!("{dsn}{LIKE_PYTHON}")).await.unwrap();
    let queue = Queue::new("to_rust");
    assert_eq!(broker.length(&queue).await.unwrap(), 1);
    let mut deliveries = consume(&broker, &queue).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(body(&delivery), difficult());
    delivery.retry(Duration::from_millis(50)).await.unwrap();
    let again = next(&mut deliveries).await;
    assert_eq!((body(&again), again.message().attempt()), (difficult(), 2));
    again.ack().await.unwrap();
    assert_eq!(python.ask(json!(["length", "to_rust"])).await, 0);
}

async fn python_handles_what_rust_sent() {
    let dsn = own_vhost("to_python").await;
    let mut python = Peer::start(&dsn, "to_python").await;
    // Its queue is not durable; a declaration of ours takes it as it is.
    let broker = connect(&dsn).await.unwrap();
    let queue = Queue::new("to_python");
    broker.declare(&queue, &Default::default()).await.unwrap();
    send(&broker, queue.clone(), &difficult()).await;
    takes(&mut python, &json!([["to_python", difficult()]])).await;
    until("the acknowledgement", async || {
        broker.length(&queue).await.unwrap() == 0
    })
    .await;
}

async fn a_queue_that_rust_declared_for_python_is_shared() {
    let dsn = own_vhost("rust_first").await;
    let broker = connect(&format!("{dsn}{LIKE_PYTHON}")).await.unwrap();
    let queue = Queue::new("to_python");
    broker.declare(&queue, &Default::default()).await.unwrap();
    send(&broker, queue.clone(), &json!({"n": 1})).await;
    let mut python = Peer::start(&dsn, "to_python").await;
    takes(&mut python, &json!([["to_python", {"n": 1}]])).await;
}

async fn python_sends_to_a_durable_queue_and_cannot_ask_its_length() {
    let dsn = own_vhost("durable").await;
    let broker = connect(&dsn).await.unwrap();
    let queue = Queue::new("kept");
    let mut deliveries = consume(&broker, &queue).await;
    let mut python = Peer::start(&dsn, "").await;
    python.ask(json!(["push", "kept", [{"n": 1}], {}])).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(body(&delivery), json!({"n": 1}));
    delivery.ack().await.unwrap();
    let refused = python.ask(json!(["length", "kept"])).await;
    let text = refused["error"].as_str().expect("an error");
    assert!(text.contains("inequivalent arg 'durable'"), "{text}");
}

/// A queue of the file, or another one that is bound in the same way.
fn bound(name: &str, exchange: &str, topics: &str) -> Queue {
    let file = format!(
        r#"{{"queues": [{{"name": "{name}", "exchange": "{exchange}", "topics": {topics}}}]}}"#
    );
    let declared = Declarations::parse(&file).expect("a declared queue");
    Queue::from(&declared.queues[0])
}

async fn a_fanout_exchange_reaches_both_languages_from_both() {
    let dsn = own_vhost("fanout").await;
    let broker = connect(&format!("{dsn}{LIKE_PYTHON}")).await.unwrap();
    let queue = bound("fan_rust", "fan", "[]");
    let mut deliveries = consume(&broker, &queue).await;
    let mut python = Peer::start(&dsn, "fan_python").await;

    send(&broker, queue, &json!({"n": 1})).await;
    let options = json!({"exchange": "fan"});
    python
        .ask(json!(["push", "fan_python", [{"n": 2}], options]))
        .await;
    for n in [1, 2] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(body(&delivery), json!({"n": n}));
        let properties = delivery.message().native::<AmqpProperties>().unwrap();
        assert_eq!(properties.exchange, "fan");
        delivery.ack().await.unwrap();
    }
    takes(
        &mut python,
        &json!([["fan_python", {"n": 1}], ["fan_python", {"n": 2}]]),
    )
    .await;
}

async fn a_topic_exchange_reaches_both_languages_from_both() {
    let dsn = own_vhost("topics").await;
    // Python declares the exchange this time.
    let mut python = Peer::start(&dsn, "topic_python").await;
    let broker = connect(&format!("{dsn}{LIKE_PYTHON}")).await.unwrap();
    let queue = bound("topic_rust", "topics", r##"["mail.#", "push.new"]"##);
    let mut deliveries = consume(&broker, &queue).await;

    let with_topic = |topic: &str| {
        let mut route = Route::from(queue.clone());
        route.topic = Some(topic.to_owned());
        route
    };
    send(&broker, with_topic("mail.new"), &json!({"n": 1})).await;
    send(&broker, with_topic("push.new"), &json!({"n": 2})).await;
    let options = json!({"exchange": "topics", "topic": "mail.old"});
    python
        .ask(json!(["push", "topic_python", [{"n": 3}], options]))
        .await;
    for (n, topic) in [(1, "mail.new"), (2, "push.new"), (3, "mail.old")] {
        let delivery = next(&mut deliveries).await;
        let properties = delivery.message().native::<AmqpProperties>().unwrap();
        assert_eq!(properties.routing_key, topic);
        assert_eq!(body(&delivery), json!({"n": n}));
        delivery.ack().await.unwrap();
    }
    // It acknowledges by hand, with `autoack=False` and `putout`.
    takes(
        &mut python,
        &json!([["topic_python", {"n": 1}], ["topic_python", {"n": 3}]]),
    )
    .await;
}

async fn five_thousand_messages_are_handled_once_in_competition() {
    const COUNT: u64 = 5_000;
    let dsn = own_vhost("competition").await;
    let broker = connect(&format!("{dsn}{LIKE_PYTHON}")).await.unwrap();
    let queue = Queue::new("competed");
    let mut deliveries = consume(&broker, &queue).await;
    let mut python = Peer::start(&dsn, "competed").await;
    let sending = async {
        let route = Route::from(queue.clone());
        for from in (0..COUNT).step_by(100) {
            let batch = (from..from + 100).map(|n| {
                let body = json!({"n": n}).to_string().into();
                broker.send(&route, body, SendOptions::default())
            });
            for sent in futures_util::future::join_all(batch).await {
                sent.unwrap();
            }
        }
    };
    let mut here = Vec::new();
    let handling = async {
        // The stream is quiet for two seconds when all are handled.
        while let Ok(Some(delivery)) = timeout(Duration::from_secs(2), deliveries.next()).await {
            here.push(body(&delivery)["n"].as_u64().unwrap());
            delivery.ack().await.unwrap();
        }
    };
    tokio::join!(sending, handling);
    let count = here.len();
    until("python to handle its share", async || {
        let there = python.ask(json!(["taken"])).await;
        there.as_array().unwrap().len() + count >= COUNT as usize
    })
    .await;
    let there = python.ask(json!(["taken"])).await;
    let there = there
        .as_array()
        .unwrap()
        .iter()
        .map(|taken| taken[1]["n"].as_u64().unwrap());
    let all: Vec<_> = here.into_iter().chain(there).collect();
    assert_eq!(all.len() as u64, COUNT, "each is handled once");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len() as u64, COUNT);
    assert!(count > 0 && count < COUNT as usize, "rust handled {count}");
}

async fn after_a_restart_of_the_server_whoever_is_first_declares() {
    let server = RabbitMqServer::start().await.unwrap();
    let broker = connect(&format!("{}{LIKE_PYTHON}", server.dsn()))
        .await
        .unwrap();
    let queue = Queue::new("to_python");
    let mut deliveries = consume(&broker, &queue).await;
    server.restart().await.unwrap();

    // The queue is gone with the server. Rust declares it again as it connects; Python starts on it.
    broker.ready().await.unwrap();
    until("the consumer", async || {
        let route = Route::from(queue.clone());
        broker
            .send(
                &route,
                json!({"n": 1}).to_string().into(),
                SendOptions::default(),
            )
            .await
            .is_ok()
    })
    .await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(body(&delivery), json!({"n": 1}));
    delivery.ack().await.unwrap();
    drop(deliveries);
    let mut python = Peer::start(&server.dsn(), "to_python").await;
    send(&broker, queue, &json!({"n": 2})).await;
    takes(&mut python, &json!([["to_python", {"n": 2}]])).await;
}
