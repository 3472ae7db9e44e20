//! The broker mock.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, DeadReason, Error, ErrorKind, Message, Result, Settlement};
use microagent_testing::{BrokerMock, BusMock};
use serde_json::json;

use crate::agent::{MAILER, ORDERS, shop};

#[tokio::test(start_paused = true)]
async fn what_was_pushed_is_handled_when_the_agent_has_stopped() -> Result<()> {
    let broker = BrokerMock::new();
    let agent = shop(BusMock::new().bus(), broker.broker()).await?;
    for amount in 0..40 {
        broker.push("orders", json!({"amount": amount})).await?;
    }
    agent.stop().await?;
    let settled = broker.settled_of("orders");
    assert_eq!(settled.len(), 40);
    assert!(
        settled
            .iter()
            .all(|order| order.settlement == Settlement::Ack)
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_retried_and_parked_at_its_last_attempt() -> Result<()> {
    let broker = BrokerMock::new();
    let agent = shop(BusMock::new().bus(), broker.broker()).await?;
    let pushed = broker.push("orders", json!({"amount": -1})).await?;
    let retry = Settlement::Retry {
        after: Duration::from_secs(1),
        reason: "a negative amount".to_owned(),
    };
    assert_eq!(pushed.settlement().await, retry);

    let last = Message::new("orders", r#"{"amount":-1}"#).with_attempt(4);
    let parked = Settlement::DeadLetter {
        queue: "orders.dead".to_owned(),
        reason: DeadReason::Failed,
        detail: "a negative amount".to_owned(),
    };
    assert_eq!(broker.push_message(last).await?.settlement().await, parked);

    let broken = broker
        .push_message(Message::new("orders", "{"))
        .await?
        .settlement()
        .await;
    assert!(matches!(
        broken,
        Settlement::DeadLetter {
            reason: DeadReason::Undecodable,
            ..
        }
    ));
    let record = broker.settled();
    assert_eq!(record.len(), 3);
    assert_eq!(
        (record[1].message.attempt(), &record[1].settlement),
        (4, &parked)
    );
    agent.stop().await
}

#[tokio::test]
async fn pushing_what_nobody_consumes_is_a_mistake_of_the_test() -> Result<()> {
    let broker = BrokerMock::new();
    let error = broker.push("orders", json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no agent on this broker consumes `orders`: of consumed queues there is none"
    );
    let agent = shop(BusMock::new().bus(), broker.broker()).await?;
    let error = broker.push("order", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
    assert!(error.to_string().ends_with("there are `orders`"), "{error}");
    let error = broker.push("orders", json!("text")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    agent.stop().await
}

#[tokio::test]
async fn what_was_sent_is_recorded_with_its_options() -> Result<()> {
    let mock = BrokerMock::new();
    let sending = mock
        .broker()
        .send(MAILER, &json!({"a": 1}))
        .exchange("events")
        .topic("m.new");
    sending
        .key("7")
        .header("trace", "t1")
        .native("priority", "9")
        .await?;
    let mail = &mock.sent()[0];
    assert_eq!(
        (mail.queue.as_str(), &mail.body),
        ("mailer", &json!({"a": 1}))
    );
    assert_eq!(mail.route.exchange.as_deref(), Some("events"));
    assert_eq!(mail.route.topic.as_deref(), Some("m.new"));
    assert_eq!(mail.options.key.as_deref(), Some("7"));
    assert_eq!(
        mail.options.headers,
        [("trace".to_owned(), "t1".to_owned())]
    );
    assert_eq!(mail.options.native["priority"], "9");
    Ok(())
}

#[tokio::test]
async fn sending_fails_when_the_test_says_so() -> Result<()> {
    let mock = BrokerMock::new();
    let broker = mock.broker();
    mock.fail_next_send(Error::new(ErrorKind::Unavailable, "the server is gone"));
    let error = broker.send(MAILER, &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(broker.length(MAILER).await?, 0);
    broker.send(MAILER, &json!({})).await?;
    assert_eq!(broker.length(MAILER).await?, 1);
    mock.set_length("mailer", 500);
    assert_eq!(broker.length(MAILER).await?, 500);
    Ok(())
}

#[tokio::test]
async fn what_a_consumer_never_took_goes_back() -> Result<()> {
    let mock = BrokerMock::new();
    let broker = mock.broker();
    let consumer = broker
        .driver()
        .consume(&ORDERS, ConsumeOptions::default())
        .await?;
    let (pushed, ()) = tokio::join!(mock.push("orders", json!({})), async { drop(consumer) });
    assert_eq!(pushed?.settlement().await, Settlement::Return);
    Ok(())
}

#[tokio::test]
async fn a_closed_broker_takes_and_gives_nothing() -> Result<()> {
    let mock = BrokerMock::new();
    let broker = mock.broker();
    let mut orders = broker
        .driver()
        .consume(&ORDERS, ConsumeOptions::default())
        .await?;
    broker.close().await?;
    assert!(orders.next().await.is_none());
    let error = broker.send(MAILER, &json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        mock.push("orders", json!({})).await.unwrap_err().kind(),
        ErrorKind::QueueNotFound
    );
    Ok(())
}
