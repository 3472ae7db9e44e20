//! Groups in simulations: what the faults do, what they must not break, and that a seed replays.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod replay;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::prelude::*;
use microagent_testing::{Faults, Group, Simulation};
use tokio::time::sleep;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) const ORDERS: Queue = Queue::new("orders");
pub(crate) const MAILER: Queue = Queue::new("mailer");

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
pub(crate) struct OrderPlaced {
    pub(crate) number: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
pub(crate) struct StockOf {
    pub(crate) number: u64,
}

/// The outside world: it survives crashes. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Outside(Arc<Mutex<Vec<String>>>);

impl Outside {
    pub(crate) fn write(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The number of times that each line occurs.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for line in self.read() {
            *counts.entry(line).or_default() += 1;
        }
        counts
    }
}

/// Takes orders: asks for the stock, and sends a mail.
pub(crate) struct Shop;

#[agent]
impl Shop {
    #[consumer(ORDERS, concurrency = 4, max_crashes = 1000)]
    async fn order(&self, cx: &Context, number: u64) -> Result<()> {
        // Nobody may be there who knows; an order must not fail for that.
        let stock = cx.bus().call("shop", StockOf { number }).timeout(SECOND);
        let stock = stock.await.ok().and_then(|answer| answer.one::<u64>().ok());
        cx.broker()
            .send(MAILER, &json!({"number": number, "stock": stock}))
            .await?;
        cx.bus().send("shop", OrderPlaced { number }).await
    }
}

pub(crate) struct Stock;

#[agent]
impl Stock {
    #[receiver(StockOf)]
    async fn stock_of(&self, number: u64) -> u64 {
        sleep(Duration::from_millis(30)).await;
        number * 2
    }
}

pub(crate) struct Mailer {
    pub(crate) outside: Outside,
}

#[agent]
impl Mailer {
    // So many crashes are nobody's fault.
    #[consumer(MAILER, concurrency = 2, max_crashes = 1000)]
    async fn send(&self, number: u64) {
        sleep(Duration::from_millis(50)).await;
        self.outside.write(format!("mail {number}"));
    }

    #[receiver(OrderPlaced)]
    async fn placed(&self, number: u64) {
        self.outside.write(format!("placed {number}"));
    }
}

/// The three of them, and a replica of the mailer.
pub(crate) async fn start_all(group: &Group, outside: &Outside) -> Result<()> {
    group.start("shop", || Agent::new(Shop)).await?;
    group.start("stock", || Agent::new(Stock)).await?;
    for name in ["mailer", "mailer2"] {
        let outside = outside.clone();
        let mailer = move || {
            Agent::new(Mailer {
                outside: outside.clone(),
            })
        };
        group.start(name, mailer).await?;
    }
    Ok(())
}

/// All faults at once.
pub(crate) fn bad_day() -> Faults {
    Faults::none()
        .crash_every(SECOND)
        .restart_within(2 * SECOND)
        .duplicate(0.1)
        .delay(0.1, SECOND / 2)
        .reorder(0.1, SECOND / 2)
}

#[test]
fn whatever_happens_every_order_gets_its_mail() {
    Simulation::new()
        .seeds(0..30)
        .faults(bad_day())
        .run(|group| async move {
            let outside = Outside::default();
            start_all(&group, &outside).await?;
            for number in 0..100 {
                group
                    .broker()
                    .send(ORDERS, &json!({"number": number}))
                    .await?;
                sleep(SECOND / 20).await;
            }
            group.end_faults().await;
            let all = || {
                let counts = outside.counts();
                (0..100).all(|number| counts.contains_key(&format!("mail {number}")))
            };
            group
                .eventually("every order has its mail", 120 * SECOND, all)
                .await;
            // A message that was delivered twice is settled, too.
            sleep(60 * SECOND).await;
            for name in ["shop", "stock", "mailer", "mailer2"] {
                assert!(group.stop(name).await?);
            }
            for queue in ["orders", "mailer", "orders.dead", "mailer.dead"] {
                let left = group.broker().length(Queue::named(queue)?).await?;
                assert_eq!(left, 0, "{queue}");
            }
            Ok(())
        });
}

#[test]
fn without_faults_everything_happens_once_and_in_order() {
    Simulation::new().seeds(0..3).run(|group| async move {
        let outside = Outside::default();
        start_all(&group, &outside).await?;
        for number in 0..50 {
            group
                .broker()
                .send(ORDERS, &json!({"number": number}))
                .await?;
            sleep(SECOND).await;
        }
        group.end_faults().await;
        let counts = outside.counts();
        assert_eq!(counts.len(), 100);
        assert!((0..50).all(|number| counts[&format!("mail {number}")] == 1));
        // Both replicas hear a signal.
        assert!((0..50).all(|number| counts[&format!("placed {number}")] == 2));
        assert!(group.record().iter().all(|line| !line.contains("killed")));
        Ok(())
    });
}
