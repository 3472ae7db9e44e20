//! The fields of log lines: the message, the attempt, what follows, and how many signals were dropped.

use std::time::Duration;

use microagent::prelude::*;
use tokio::time::sleep;
use tracing::Level;

use super::{MAILER, UserCreated, broker, bus, log::Log, pass};

const SECOND: Duration = Duration::from_secs(1);

struct Failing;

#[agent]
impl Failing {
    #[consumer(MAILER, retry(7))]
    async fn fails(&self) -> Result<()> {
        Err("no database".into())
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_of_a_failed_message_names_it_and_what_follows() {
    let ((log, _guard), broker) = (Log::keep(), broker().await);
    let agent = Agent::new(Failing).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    pass(10 * SECOND).await;
    agent.stop().await.unwrap();
    let lines = log.lines("handler failed");
    let named: Vec<_> = lines
        .iter()
        .map(|line| (line.field("attempt"), line.field("next")))
        .collect();
    let expected = [("1", "retry in 7s"), ("2", "dead letter in `mailer.dead`")];
    assert_eq!(named, expected);
    assert!(!lines[0].field("id").is_empty());
    assert_eq!(lines[0].field("id"), lines[1].field("id"));
    let parked = log.lines("message parked as a dead letter");
    assert_eq!(parked[0].field("id"), lines[0].field("id"));
}

struct Refusing;

#[agent]
impl Refusing {
    #[consumer(MAILER, autoack = false)]
    async fn refuses(&self, delivery: Delivery) -> Result<()> {
        delivery.dead_letter("nobody wants it").await
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_the_handler_asks_for_is_logged_and_counted() {
    let ((log, _guard), broker) = (Log::keep(), broker().await);
    let agent = Agent::new(Refusing).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    pass(SECOND).await;
    let parked = log.lines("message parked as a dead letter");
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].level, Level::ERROR);
    let fields = [
        "handler",
        "queue",
        "dead_letter",
        "reason",
        "detail",
        "attempt",
    ];
    let expected = [
        "refuses",
        "mailer",
        "mailer.dead",
        "rejected",
        "nobody wants it",
        "1",
    ];
    assert_eq!(fields.map(|name| parked[0].field(name)), expected);
    let counted = json!({"done": 1, "dead_lettered": 1});
    assert_eq!(agent.info()["stats"]["refuses"], counted);
    agent.stop().await.unwrap();
}

struct Slow;

#[agent]
impl Slow {
    #[receiver(UserCreated, concurrency = 1, buffer = 1)]
    async fn slow(&self) {
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_says_how_many_signals_it_dropped() {
    let ((log, _guard), bus) = (Log::keep(), bus().await);
    let agent = Agent::new(Slow).bus(bus.clone()).start().await.unwrap();
    for burst in [10, 4] {
        for _ in 0..burst {
            bus.send("test", UserCreated { user_id: 7 }).await.unwrap();
        }
        pass(5 * SECOND).await;
    }
    agent.stop().await.unwrap();
    let begins = log.lines("receiver is too slow: signals are dropped");
    assert_eq!(begins.len(), 2, "one for each burst");
    let ends = log.lines("receiver keeps up again: signals were dropped");
    let dropped: Vec<_> = ends.iter().map(|line| line.field("dropped")).collect();
    assert_eq!(dropped, ["8", "2"]);
}
