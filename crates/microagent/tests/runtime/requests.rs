//! The sends and calls of a handle in the status of its agents.

use std::time::Duration;

use microagent::prelude::*;

use super::{MAILER, UserCreated, broker, bus};

struct Silent;

#[agent]
impl Silent {
    #[receiver(UserCreated)]
    async fn created(&self, user_id: u64) -> u64 {
        if user_id == 0 {
            std::future::pending::<()>().await;
        }
        user_id
    }
}

#[tokio::test(start_paused = true)]
async fn sends_and_calls_are_counted_by_outcome() {
    let (bus, broker) = (bus().await, broker().await);
    let agent = Agent::new(Silent).bus(bus.clone()).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    for _ in 0..3 {
        broker.send(MAILER, &json!({})).await.unwrap();
    }
    broker
        .send(MAILER, &json!({}))
        .topic("t")
        .await
        .unwrap_err();
    bus.send("web", UserCreated { user_id: 1 }).await.unwrap();
    bus.call("web", UserCreated { user_id: 7 }).await.unwrap();
    let unanswered = bus.call("web", UserCreated { user_id: 0 });
    unanswered
        .timeout(Duration::from_secs(2))
        .await
        .unwrap_err();

    let status = agent.status();
    let sent = &status.messages_sent;
    assert_eq!((sent.done, sent.timed_out, sent.failed), (3, 0, 1));
    assert_eq!(sent.durations.count(), 4);
    assert_eq!(
        status.signals_sent.done, 1,
        "a call is not a signal that was sent"
    );
    let calls = &status.calls.ended;
    assert_eq!((calls.done, calls.timed_out, calls.failed), (1, 1, 0));
    assert_eq!(calls.durations.sum, Duration::from_secs(2));
    let read: microagent::status::Status =
        serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
    assert_eq!(
        (read.calls, read.messages_sent),
        (status.calls, status.messages_sent)
    );
}
