//! Each agent alone, on recording mocks and in virtual time; and all of them together in a simulation with crashes.

use std::{sync::Arc, time::Duration};

use microagent::{Settlement, prelude::*};
use microagent_testing::{BrokerMock, BusMock, Faults, Simulation, VirtualClock};
use shop::{
    Mail, Mailer, Order, Orders, PaymentService, Payments, Reporter, Stock, queues, signals,
};

fn order(order_id: impl Into<String>, quantity: u64) -> Order {
    Order {
        order_id: order_id.into(),
        item: "teapot".to_owned(),
        quantity,
        email: "ann@example.com".to_owned(),
    }
}

fn orders(decline_every: u64) -> Agent<Orders> {
    Agent::create().settings(json!({"price": 9.99, "decline_every": decline_every}))
}

#[tokio::test(start_paused = true)]
async fn an_order_is_charged_told_and_mailed() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let agent = orders(0).bus(bus.bus()).broker(broker.broker());
    let agent = agent.start().await?;

    let pushed = broker.push("orders", order("o1", 2)).await?;
    assert_eq!(pushed.settlement().await, Settlement::Ack);
    let paid = json!({"order_id": "o1", "item": "teapot", "quantity": 2, "total": 19.98});
    assert_eq!(bus.sent_of("order_paid")[0].args, paid);
    let mail = json!({"to": "ann@example.com", "subject": "Your order o1: 19.98 EUR"});
    assert_eq!(broker.sent_to("mails")[0].body, mail);

    let nothing = broker.push("orders", order("o2", 0)).await?;
    let settled = nothing.settlement().await;
    assert!(
        matches!(settled, Settlement::DeadLetter { .. }),
        "{settled:?}"
    );
    agent.stop().await
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_sent_twice_is_charged_once() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let service = Arc::new(PaymentService::declining_every(2));
    let payments = Payments::new(9.99, Arc::clone(&service));
    let agent = Agent::new(Orders::with(payments)).bus(bus.bus());
    let agent = agent.broker(broker.broker()).start().await?;

    for _ in 0..2 {
        let pushed = broker.push("orders", order("o1", 2)).await?;
        assert_eq!(pushed.settlement().await, Settlement::Ack);
    }
    assert_eq!(service.charges().await, [("o1".to_owned(), 19.98)].into());
    agent.stop().await
}

#[tokio::test(start_paused = true)]
async fn a_declined_payment_is_tried_again() -> Result<()> {
    let (bus, broker) = (BusMock::new(), Broker::connect("memory://").await?);
    let agent = orders(2).bus(bus.bus()).broker(broker.clone());
    let agent = agent.start().await?;
    for id in ["o1", "o2"] {
        broker.send(queues::ORDERS, &order(id, 1)).await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await; // takes no time
    assert_eq!(
        agent.info()["stats"]["pay"],
        json!({"done": 2, "failed": 1})
    );
    assert_eq!(broker.length(queues::MAILS).await?, 2);
    agent.stop().await
}

#[tokio::test(start_paused = true)]
async fn the_stock_answers_and_goes_down() -> Result<()> {
    let bus = BusMock::new();
    let stock = Agent::<Stock>::create().settings(json!({"items": {"teapot": 10}}));
    let stock = stock.bus(bus.bus()).start().await?;
    let paid = json!({"order_id": "o1", "item": "teapot", "quantity": 3, "total": 29.97});
    for _ in 0..2 {
        bus.ask("order_paid", "test", &paid).await?; // the second is the same order again
    }
    for (item, left) in [("teapot", 7), ("anvil", 0)] {
        let answer = bus
            .ask("stock_asked", "test", json!({"item": item}))
            .await?;
        assert_eq!(answer.get::<u64>("Stock.left")?, left, "{item}");
    }
    stock.stop().await
}

#[tokio::test(start_paused = true)]
async fn a_mail_without_an_address_is_a_dead_letter() -> Result<()> {
    let broker = BrokerMock::new();
    let mailer = Agent::new(Mailer).broker(broker.broker()).start().await?;
    let mail = |to: &str| Mail {
        to: to.to_owned(),
        subject: "hi".to_owned(),
    };
    let sent = broker.push("mails", mail("ann@example.com")).await?;
    assert_eq!(sent.settlement().await, Settlement::Ack);
    let refused = broker.push("mails", mail("nobody")).await?;
    let settled = refused.settlement().await;
    assert!(
        matches!(&settled, Settlement::DeadLetter { detail, .. } if detail == "`nobody` is not an address"),
        "{settled:?}"
    );
    mailer.stop().await
}

#[tokio::test(start_paused = true)]
async fn the_report_comes_at_seven_in_berlin() -> Result<()> {
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let reporter = Agent::new(Reporter::default())
        .bus(bus.bus())
        .broker(broker.broker())
        .zone("Europe/Berlin")
        .clock(VirtualClock::at("2026-03-02T05:00:00Z")?);
    let reporter = reporter.start().await?;
    for (order_id, total) in [("o1", 9.99), ("o2", 20.0), ("o2", 20.0)] {
        let paid = signals::OrderPaid {
            order_id: order_id.to_owned(),
            item: "teapot".to_owned(),
            quantity: 1.into(),
            total: total.into(),
        };
        bus.emit_signal("test", paid).await?;
    }
    tokio::time::sleep(Duration::from_secs(3600 - 1)).await;
    assert!(
        broker.sent_to("mails").is_empty(),
        "it is 6:59:59 in Berlin"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reports = broker.sent_to("mails");
    assert_eq!(reports[0].body["subject"], "2 orders, 29.99 EUR");
    reporter.stop().await
}

/// Crashes lose nothing and repeat no charge: each order is mailed at least once and charged once, or is a dead letter.
#[test]
fn no_order_is_lost_in_crashes() {
    let faults = Faults::none()
        .crash_every(Duration::from_secs(2))
        .duplicate(0.1);
    let simulation = Simulation::new().seeds(0..5).faults(faults);
    simulation.run(|group| async move {
        let stock = || Agent::<Stock>::create().settings(json!({"items": {"teapot": 1000}}));
        group.start("stock", stock).await?;
        let service = Arc::new(PaymentService::declining_every(5));
        let client = Arc::clone(&service);
        let orders = move || Agent::new(Orders::with(Payments::new(9.99, Arc::clone(&client))));
        group.start("orders", orders).await?;
        for id in 0..30 {
            let order = order(format!("o{id}"), 1);
            group.broker().send(queues::ORDERS, &order).await?;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        group.end_faults().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mails = group.broker().length(queues::MAILS).await?;
        let dead = group.broker().length(Queue::new("orders.dead")).await?;
        assert!(mails + dead >= 30, "{mails} mails and {dead} dead letters");
        assert_eq!(group.broker().length(queues::ORDERS).await?, 0);
        let charges = service.charges().await;
        assert!(charges.values().all(|sum| *sum == 9.99), "{charges:?}");
        assert!(charges.len() as u64 + dead >= 30, "{charges:?}");
        Ok(())
    });
}

#[tokio::test]
async fn settings_that_do_not_fit_are_named() {
    let broken = Agent::<Orders>::create().settings(json!({"price": "free"}));
    let (bus, broker) = (BusMock::new(), BrokerMock::new());
    let error = broken.bus(bus.bus()).broker(broker.broker()).start().await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("settings of agent `Orders`"), "{text}");
}
