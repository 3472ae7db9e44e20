//! The report: a cron task and a receiver that share their state.

use std::collections::HashMap;

use microagent::prelude::*;
use tokio::sync::Mutex;

use crate::{Mail, queues, signals};

/// Sums up what was sold, and sends a mail each morning.
#[derive(Debug, Default)]
pub struct Reporter {
    /// The sums of the orders since the last report, by the number of the order: a signal may come twice.
    sold: Mutex<HashMap<String, f64>>,
}

#[agent]
impl Reporter {
    #[receiver(signals::OrderPaid)]
    async fn count(&self, order_id: String, total: f64) {
        self.sold.lock().await.insert(order_id, total);
    }

    /// At seven in the zone of the settings; a failure is tried again after a minute.
    #[cron("0 7 * * *", timeout = 30, retry(60))]
    async fn report(&self, cx: &Context) -> Result<()> {
        let mut sold = self.sold.lock().await;
        let total: f64 = sold.values().sum();
        let mail = Mail {
            to: "owner@example.com".to_owned(),
            subject: format!("{} orders, {total:.2} EUR", sold.len()),
        };
        cx.broker().send(queues::MAILS, &mail).await?;
        sold.clear(); // only when the report is on its way
        Ok(())
    }
}
