//! The warning about a queue that grows steadily.

use std::time::Duration;

use microagent::prelude::*;
use microagent_testing::BrokerMock;
use tokio::time::sleep;
use tracing::Level;

use super::{MAILER, broker, log::Log, pass};

const MINUTE: Duration = Duration::from_secs(60);
const GROWS: &str =
    "queue grows steadily; run more replicas, raise `concurrency`, or make the handler faster";

struct Slow;

#[agent]
impl Slow {
    #[consumer(MAILER, concurrency = 1, prefetch = 1)]
    async fn slow(&self) {
        sleep(Duration::from_secs(10)).await;
    }
}

/// Sends so many messages in each of the next minutes.
async fn send(broker: &Broker, per_minute: &[u32]) {
    for messages in per_minute {
        for _ in 0..*messages {
            broker.send(MAILER, &json!({})).await.unwrap();
        }
        pass(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_grows_steadily_is_warned_of_once_and_again_after_it_shrank() {
    let ((log, _guard), broker) = (Log::keep(), broker().await);
    let agent = Agent::new(Slow).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    send(&broker, &[10, 10, 10, 10, 10]).await;
    assert_eq!(log.lines(GROWS), []);
    send(&broker, &[10; 10]).await;
    let warnings = log.lines(GROWS);
    assert_eq!(warnings.len(), 1, "once");
    let line = &warnings[0];
    assert_eq!(line.level, Level::WARN);
    let fields = ["handler", "queue", "within"].map(|name| line.field(name));
    assert_eq!(fields, ["slow", "mailer", "300s"]);
    let number = |name| line.field(name).parse::<u64>().unwrap();
    assert!((15..30).contains(&number("length")), "{line:?}");
    assert!((15..30).contains(&number("grown_by")), "{line:?}");
    send(&broker, &[0; 15]).await;
    send(&broker, &[10; 10]).await;
    assert_eq!(log.lines(GROWS).len(), 2, "it has shrunk");
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_with_bursts_that_are_handled_is_not_warned_of() {
    let ((log, _guard), broker) = (Log::keep(), broker().await);
    let agent = Agent::new(Slow).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    send(&broker, &[60, 0, 20, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(log.lines(GROWS), []);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_without_work_asks_its_broker_nothing() {
    let mock = BrokerMock::new();
    let agent = Agent::new(Slow).broker(mock.broker());
    let agent = agent.start().await.unwrap();
    pass(60 * MINUTE).await;
    assert_eq!(mock.lengths_asked(), Vec::<String>::new());
    agent.stop().await.unwrap();
}
