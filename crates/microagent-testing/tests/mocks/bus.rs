//! The bus mock.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt;
use microagent_core::{BusOptions, Error, ErrorKind, Result};
use microagent_testing::{BrokerMock, BusMock};
use serde_json::json;
use tokio::time::Instant;

use crate::agent::{RpcCount, UserCreated, shop};

#[tokio::test(start_paused = true)]
async fn an_emitted_signal_is_handled_when_the_agent_has_stopped() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let agent = shop(bus.bus(), broker.broker()).await?;
    for user_id in 0..5 {
        bus.emit("user_created", "web", json!({"user_id": user_id}))
            .await?;
    }
    bus.emit_signal("web", UserCreated { user_id: 5 }).await?;
    agent.stop().await?;

    let mails = broker.sent_to("mailer");
    let to: Vec<_> = mails.iter().map(|mail| mail.body["to"].clone()).collect();
    assert_eq!(to, [0, 1, 2, 3, 4, 5]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_a_prefix_of_its_own_receives_emitted_signals() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let prefixed = bus.bus_with(BusOptions::default().prefix("SHOP"))?;
    let agent = shop(prefixed.clone(), broker.broker()).await?;
    bus.emit("user_created", "web", json!({"user_id": 1}))
        .await?;
    agent.stop().await?;
    assert_eq!(broker.sent().len(), 1);

    prefixed.send("shop", UserCreated { user_id: 2 }).await?;
    assert_eq!(bus.sent_of("user_created")[0].prefix, "SHOP");
    Ok(())
}

#[tokio::test]
async fn emitting_a_signal_without_receivers_fails() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let agent = shop(bus.bus(), broker.broker()).await?;
    let error = bus
        .emit("user_craeted", "web", json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponders);
    let text =
        "no agent on this bus receives `user_craeted` (available: `rpc_count`, `user_created`)";
    assert_eq!(error.to_string(), text);
    let error = bus
        .emit("user_created", "a:b", json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    let error = bus
        .emit("user_created", "web", json!([1]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    agent.stop().await
}

#[tokio::test(start_paused = true)]
async fn an_agent_can_be_asked() -> Result<()> {
    let bus = BusMock::new();
    let agent = shop(bus.bus(), BrokerMock::new().broker()).await?;
    let answer = bus.ask("rpc_count", "web", json!({"user_id": 6})).await?;
    assert_eq!(answer.get::<u64>("Shop.count")?, 7);

    let answer = bus
        .ask("rpc_count", "web", json!({"user_id": "six"}))
        .await?;
    assert_eq!(
        answer.get::<u64>("Shop.count").unwrap_err().kind(),
        ErrorKind::Remote
    );
    assert!(bus.sent().is_empty() && bus.called().is_empty());
    agent.stop().await
}

#[tokio::test(start_paused = true)]
async fn calls_get_the_answer_that_was_configured_last() -> Result<()> {
    let mock = BusMock::new();
    let bus = mock.bus();
    let call = || bus.call("shop", RpcCount { user_id: 7 });

    let began = Instant::now();
    assert_eq!(call().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(began.elapsed(), Duration::from_secs(60));

    mock.answer("rpc_count", json!({"A.count": 3}));
    assert_eq!(call().await?.one::<u64>()?, 3);
    mock.answer_error("rpc_count", "A.count", "no database");
    let failure = call().await?.get::<u64>("A.count").unwrap_err();
    assert_eq!(failure.to_string(), "`A.count` failed: no database");
    mock.answer_nobody("rpc_count");
    assert_eq!(call().await.unwrap_err().kind(), ErrorKind::NoResponders);

    assert_eq!(mock.called_of("rpc_count").len(), 4);
    assert_eq!(mock.called()[0].args, json!({"user_id": 7}));
    assert!(mock.sent().is_empty());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_waiter_receives_from_several_processes() -> Result<()> {
    let mock = BusMock::new();
    mock.answers("rpc_count", [json!({"A.count": 1}), json!({"A.count": 2})]);
    let bus = mock.bus();
    let waiter = bus.waiter("shop", RpcCount { user_id: 7 }).await?;
    let counts: Vec<u64> = waiter
        .map(|answer| answer.one::<u64>().unwrap())
        .collect()
        .await;
    assert_eq!(counts, [1, 2]);
    Ok(())
}

#[tokio::test]
async fn sending_fails_with_the_injected_error() -> Result<()> {
    let mock = BusMock::new();
    mock.fail_next_send(Error::new(ErrorKind::Unavailable, "the server is gone"));
    let bus = mock.bus();
    let send = || bus.send("shop", UserCreated { user_id: 1 });
    assert_eq!(send().await.unwrap_err().kind(), ErrorKind::Unavailable);
    send().await?;
    assert_eq!(mock.sent().len(), 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_reported_to_agents_and_fails_calls() -> Result<()> {
    let mock = BusMock::new();
    let bus = mock.bus();
    let agent = shop(bus.clone(), BrokerMock::new().broker()).await?;
    let gaps = agent.agent().gaps.clone();
    let call = tokio::spawn(bus.call("shop", RpcCount { user_id: 7 }).into_future());
    while mock.called().is_empty() {
        tokio::task::yield_now().await;
    }
    mock.gap(Duration::from_secs(5)).await;
    assert_eq!(call.await?.unwrap_err().kind(), ErrorKind::Unavailable);
    agent.stop().await?;
    assert_eq!(gaps.load(Ordering::Relaxed), 1);
    Ok(())
}

#[tokio::test]
async fn a_closed_bus_neither_receives_nor_sends() -> Result<()> {
    let mock = BusMock::new();
    let (closed, open) = (mock.bus(), mock.bus());
    let mut events = closed.driver().subscribe("PUBSUB:user_created:*").await?;
    closed.close().await?;
    assert_eq!(events.next().await, None);
    let error = closed
        .send("shop", UserCreated { user_id: 1 })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    open.send("shop", UserCreated { user_id: 1 }).await
}
