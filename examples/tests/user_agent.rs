//! A test of a single agent: its bus and its broker are recording mocks, and time is virtual.

use std::time::Duration;

use examples::UserAgent;
use microagent::prelude::*;
use microagent_testing::{BrokerMock, BusMock, VirtualClock};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_new_user_gets_a_welcome_mail() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let agent = Agent::new(UserAgent)
        .bus(bus.bus())
        .broker(broker.broker())
        .start()
        .await?;

    bus.emit("user_created", "web", json!({"user_id": 7}))
        .await?;
    agent.stop().await?;

    let mails = broker.sent_to("mailer");
    assert_eq!(mails.len(), 1);
    assert_eq!(
        mails[0].body,
        json!({"text": "Welcome text", "email": "user@lwr.pw"})
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_comment_makes_it_ask_for_the_count() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    bus.answer(
        "rpc_comments_count",
        json!({"CommentAgent.example_rpc_handler": 3}),
    );
    let agent = Agent::new(UserAgent)
        .bus(bus.bus())
        .broker(broker.broker())
        .start()
        .await?;

    bus.emit("user_comment", "web", json!({"user_id": 1}))
        .await?;
    agent.stop().await?;

    assert_eq!(
        bus.called_of("rpc_comments_count")[0].args,
        json!({"user_id": 1})
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_full_minute_it_reports_by_mail() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let clock = VirtualClock::at("2026-03-01T11:59:30Z")?;
    let agent = Agent::new(UserAgent)
        .bus(bus.bus())
        .broker(broker.broker())
        .clock(clock);
    let agent = agent.start().await?;

    sleep(Duration::from_secs(29)).await;
    assert_eq!(broker.sent_to("mailer").len(), 0, "11:59:59");
    sleep(Duration::from_secs(2 + 2 * 60)).await;
    agent.stop().await?;

    let mails = broker.sent_to("mailer");
    assert_eq!(mails.len(), 3, "at 12:00, 12:01 and 12:02");
    let report = json!({"text": "Report text", "email": "admin@lwr.pw"});
    assert!(mails.iter().all(|mail| mail.body == report), "{mails:?}");
    Ok(())
}
