//! The end of an agent: what may finish, what is cut off, what goes back.

use std::time::Duration;

use microagent::prelude::*;

use super::{Diary, MAILER, broker, pass};

struct Slow {
    diary: Diary,
}

#[agent]
impl Slow {
    #[consumer(MAILER, concurrency = 1, prefetch = 4)]
    async fn taken(&self, seconds: u64) {
        self.diary.write(format!("begins {seconds}"));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.diary.write(format!("ends {seconds}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_runs_finish_and_returns_what_waits() {
    let (diary, broker) = (Diary::default(), broker().await);
    for seconds in [10, 11, 12] {
        broker
            .send(MAILER, &json!({"seconds": seconds}))
            .await
            .unwrap();
    }
    let agent = Agent::new(Slow {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(
        broker.length(MAILER).await.unwrap(),
        0,
        "all are prefetched"
    );

    agent.stop().await.unwrap();
    assert_eq!(diary.read(), ["begins 10", "ends 10"]);
    assert_eq!(broker.length(MAILER).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_outlasts_the_grace_is_cut_off_and_returned() {
    let (diary, broker) = (Diary::default(), broker().await);
    broker.send(MAILER, &json!({"seconds": 50})).await.unwrap();
    let agent = Agent::new(Slow {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .grace(Duration::from_secs(5))
    .start()
    .await
    .unwrap();
    pass(Duration::from_secs(1)).await;

    let began = tokio::time::Instant::now();
    agent.stop().await.unwrap();
    assert_eq!(super::seconds_since(began), 5);
    assert_eq!(diary.read(), ["begins 50"]);
    assert_eq!(broker.length(MAILER).await.unwrap(), 1);

    let again = Agent::new(Slow {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();
    pass(Duration::from_secs(51)).await;
    again.stop().await.unwrap();
    assert_eq!(diary.read(), ["begins 50", "begins 50", "ends 50"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_running_agent_ends_it() {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(Slow {
        diary: diary.clone(),
    })
    .broker(broker.clone())
    .start()
    .await
    .unwrap();
    drop(agent);
    broker.send(MAILER, &json!({"seconds": 1})).await.unwrap();
    pass(Duration::from_secs(5)).await;
    assert!(diary.read().is_empty());
    assert_eq!(broker.length(MAILER).await.unwrap(), 1);
}
