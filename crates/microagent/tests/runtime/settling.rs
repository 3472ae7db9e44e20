//! Messages that their handlers settle by hand.

use std::time::Duration;

use microagent::prelude::*;

use super::{Diary, MAILER, broker, pass, queues::dead_letters};

struct ByHand {
    diary: Diary,
}

#[agent]
impl ByHand {
    #[consumer(MAILER, autoack = false, retry(2))]
    async fn taken(&self, delivery: Delivery, order: String) -> Result<()> {
        self.diary
            .write(format!("{order} {}", delivery.message().attempt()));
        match order.as_str() {
            "ack" => delivery.ack().await,
            "retry" if delivery.message().attempt() < 5 => {
                delivery.retry(Duration::from_secs(3)).await
            }
            "retry" => delivery.ack().await,
            "reject" => delivery.dead_letter("not for us").await,
            _ => Ok(()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_settle_by_hand() {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(ByHand {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();
    for order in ["ack", "retry", "reject"] {
        broker.send(MAILER, &json!({"order": order})).await.unwrap();
    }
    pass(Duration::from_secs(60)).await;
    agent.stop().await.unwrap();

    assert_eq!(
        diary.read(),
        [
            "ack 1", "retry 1", "reject 1", "retry 2", "retry 3", "retry 4", "retry 5"
        ]
    );
    assert_eq!(broker.length(MAILER).await.unwrap(), 0);
    let parked = dead_letters(&broker).await;
    assert_eq!(
        (parked.len(), parked[0].0.as_str(), parked[0].1.as_str()),
        (1, "rejected", "not for us")
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_forgotten_is_a_failure_and_no_endless_loop() {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(ByHand {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();
    broker
        .send(MAILER, &json!({"order": "forget"}))
        .await
        .unwrap();
    pass(Duration::from_secs(60)).await;
    agent.stop().await.unwrap();

    assert_eq!(diary.read(), ["forget 1", "forget 2"]);
    assert_eq!(
        dead_letters(&broker).await[0].1,
        "the handler ended without settling its delivery"
    );
}

struct Keeping {
    diary: Diary,
}

#[agent]
impl Keeping {
    #[consumer(MAILER, autoack = false)]
    async fn taken(&self, delivery: Delivery) {
        self.diary
            .write(format!("attempt {}", delivery.message().attempt()));
        if self.diary.len() > 1 {
            tokio::spawn(delivery.ack());
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(delivery);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_outlives_its_handler_is_settled_by_whoever_has_it() {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(Keeping {
        diary: diary.clone(),
    })
    .broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    pass(Duration::from_secs(4)).await;
    assert_eq!(diary.read(), ["attempt 1"], "it is kept");
    pass(Duration::from_secs(2)).await;
    assert_eq!(
        diary.read(),
        ["attempt 1", "attempt 1"],
        "dropped, it goes back uncounted"
    );
    agent.stop().await.unwrap();
    assert_eq!(broker.length(MAILER).await.unwrap(), 0);
}
