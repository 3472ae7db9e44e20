//! The report: a cron task and a receiver that share their state.

use microagent::prelude::*;
use tokio::sync::Mutex;

use crate::{Mail, queues, signals};

/// Sums up what was sold, and sends a mail each morning.
#[derive(Debug, Default)]
pub struct Reporter {
    sold: Mutex<Sold>,
}

#[derive(Debug, Default)]
struct Sold {
    orders: u64,
    total: f64,
}

#[agent]
impl Reporter {
    #[receiver(signals::OrderPaid)]
    async fn count(&self, total: f64) {
        let mut sold = self.sold.lock().await;
        sold.orders += 1;
        sold.total += total;
    }

    /// At seven in the zone of the settings; a failure is tried again after a minute.
    #[cron("0 7 * * *", timeout = 30, retry(60))]
    async fn report(&self, cx: &Context) -> Result<()> {
        let mut sold = self.sold.lock().await;
        let mail = Mail {
            to: "owner@example.com".to_owned(),
            subject: format!("{} orders, {:.2} EUR", sold.orders, sold.total),
        };
        cx.broker().send(queues::MAILS, &mail).await?;
        *sold = Sold::default(); // only when the report is on its way
        Ok(())
    }
}
