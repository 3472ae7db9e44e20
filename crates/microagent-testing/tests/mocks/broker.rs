//! The broker mock.

use std::time::Duration;

use futures_util::StreamExt;
use microagent_core::{ConsumeOptions, DeadReason, Error, ErrorKind, Message, Result, Settlement};
use microagent_testing::{BrokerMock, BusMock};
use serde_json::json;

use crate::agent::{MAILER, ORDERS, shop};

#[tokio::test(start_paused = true)]
async fn a_pushed_message_is_handled_when_the_agent_has_stopped() -> Result<()> {
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
async fn a_failed_message_is_retried_and_a_dead_letter_after_its_last_attempt() -> Result<()> {
    let broker = BrokerMock::new();
    let agent = shop(BusMock::new().bus(), broker.broker()).await?;
    let pushed = broker.push("orders", json!({"amount": -1})).await?;
    let retry = Settlement::Retry {
        after: Duration::from_secs(1),
        reason: "a negative amount".to_owned(),
    };
    assert_eq!(pushed.settlement().await, retry);

    let last = Message::new("orders", r#"{"amount":-1}"#).with_attempt(4);
    let dead_lettered = Settlement::DeadLetter {
        queue: "orders.dead".to_owned(),
        reason: DeadReason::Failed,
        detail: "a negative amount".to_owned(),
    };
    assert_eq!(
        broker.push_message(last).await?.settlement().await,
        dead_lettered
    );

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
        (4, &dead_lettered)
    );
    agent.stop().await
}

#[tokio::test]
async fn pushing_to_a_queue_without_consumers_fails() -> Result<()> {
    let broker = BrokerMock::new();
    let error = broker.push("orders", json!({})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no agent on this broker consumes `orders` (available: none)"
    );
    let agent = shop(BusMock::new().bus(), broker.broker()).await?;
    let error = broker.push("order", json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
    assert!(
        error.to_string().ends_with("(available: `orders`)"),
        "{error}"
    );
    let error = broker.push("orders", json!("text")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    agent.stop().await
}

#[tokio::test]
async fn a_sent_message_is_recorded_with_its_options() -> Result<()> {
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
async fn sending_fails_with_the_injected_error() -> Result<()> {
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
async fn a_message_that_no_consumer_took_is_returned() -> Result<()> {
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
async fn a_closed_broker_neither_sends_nor_delivers() -> Result<()> {
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

/// Returns JSON that is sent unchanged.
fn raw(json: &str) -> Result<Box<serde_json::value::RawValue>> {
    Ok(serde_json::from_str(json)?)
}

#[tokio::test]
async fn messages_are_recorded_byte_for_byte_and_big_numbers_stay_different() -> Result<()> {
    let (mock, bus) = (BrokerMock::new(), BusMock::new());
    let broker = mock.broker();
    let bodies = [
        r#"{"id":18446744073709551616}"#,
        r#"{"id":18446744073709551617}"#,
        r#"{"id":1e400,"id":"\ud800"}"#,
    ];
    for body in bodies {
        broker.send(MAILER, &raw(body)?).await?;
        let odd = bus.bus().undeclared("odd")?;
        odd.send("test", &raw(body)?).await?;
    }
    let (sent, signals) = (mock.sent(), bus.sent());
    for (at, body) in bodies.iter().enumerate() {
        assert_eq!(sent[at].raw, body);
        assert_eq!(signals[at].raw, body);
    }
    assert_ne!(sent[0], sent[1]);
    assert_ne!(signals[0].args, signals[1].args);
    assert_eq!(sent[0].body, json!({"id": "18446744073709551616"}));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pushed_messages_arrive_byte_for_byte_or_are_rejected() -> Result<()> {
    let (mock, bus) = (BrokerMock::new(), BusMock::new());
    let agent = shop(bus.bus(), mock.broker()).await?;
    let body = r#"{"amount":1,"id":18446744073709551617}"#;
    mock.push("orders", raw(body)?).await?.settlement().await;
    assert_eq!(mock.settled()[0].message.payload(), body);

    let nan = std::collections::BTreeMap::from([("amount", f64::NAN)]);
    for refused in [
        mock.push("orders", &nan).await.map(drop).unwrap_err(),
        bus.emit("user_created", "web", &nan).await.unwrap_err(),
        bus.ask("user_created", "web", &nan)
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidPayload);
        assert!(
            refused.to_string().contains("`NaN` in `amount`"),
            "{refused}"
        );
    }
    agent.stop().await
}

#[tokio::test]
async fn requests_for_lengths_and_declarations_are_recorded() -> Result<()> {
    let mock = BrokerMock::new();
    let broker = mock.broker();
    assert_eq!((mock.lengths_asked(), mock.declared()), (vec![], vec![]));
    broker.length(MAILER).await?;
    broker.length(ORDERS).await?;
    let bound = microagent_core::Queue::new("pusher").with_exchange("events");
    broker.declare(&bound).await?;
    assert_eq!(mock.lengths_asked(), ["mailer", "orders"]);
    assert_eq!(mock.declared(), [bound]);
    Ok(())
}

#[tokio::test]
async fn a_mock_with_the_capabilities_of_a_driver_rejects_the_same_options() -> Result<()> {
    let mut caps = microagent_core::Caps::default();
    caps.max_payload = 100;
    let mock = BrokerMock::with_caps(caps);
    let broker = mock.broker();
    let sends = [
        broker.send(MAILER, &json!({})).header("trace", "t1").await,
        broker
            .send(MAILER, &json!({}))
            .delay(Duration::from_secs(1))
            .await,
    ];
    for refused in sends {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    let large = broker.send(MAILER, &json!({"text": "x".repeat(100)})).await;
    assert_eq!(large.unwrap_err().kind(), ErrorKind::PayloadTooLarge);
    let driver = broker.driver();
    assert!(driver.leases().is_none());
    let mut options = ConsumeOptions::default();
    options
        .native
        .insert("group".to_owned(), "billing".to_owned());
    let consumed = driver.consume(&MAILER, options).await.map(drop);
    assert_eq!(consumed.unwrap_err().kind(), ErrorKind::Unsupported);

    broker.send(MAILER, &json!({"text": "hi"})).await?;
    assert_eq!(mock.sent().len(), 1);
    Ok(())
}
