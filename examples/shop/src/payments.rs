//! A payment service that declines now and then. It stands for the client of a real one.

use std::{collections::HashSet, error, fmt};

use microagent::prelude::*;
use tokio::sync::Mutex;

use crate::Order;

/// The behaviour of the payment service; the settings of the agent [`Orders`](crate::Orders).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    price: f64,
    /// The service declines each n-th request; with 0 it declines none. Default: 0.
    #[serde(default)]
    decline_every: u64,
}

/// The client of the payment service.
#[derive(Debug)]
pub struct Payments {
    settings: Settings,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    requests: u64,
    charged: HashSet<String>,
}

/// The payment service has declined; another attempt may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("payment declined")
    }
}

impl error::Error for Declined {}

impl Payments {
    pub(crate) fn of(cx: &Context) -> Result<Self> {
        Ok(Self {
            settings: cx.settings()?,
            ledger: Mutex::default(),
        })
    }

    /// Charges an order and returns the sum. An order that was charged already is not charged again: a message is
    /// delivered at least once, so it may come twice.
    ///
    /// # Errors
    /// [`Declined`], now and then.
    pub async fn charge(&self, order: &Order) -> std::result::Result<f64, Declined> {
        let mut ledger = self.ledger.lock().await;
        ledger.requests += 1;
        let every = self.settings.decline_every;
        if every > 0 && ledger.requests.is_multiple_of(every) {
            return Err(Declined);
        }
        if !ledger.charged.insert(order.order_id.clone()) {
            info!(order_id = order.order_id, "charged already");
        }
        let quantity = u32::try_from(order.quantity).unwrap_or(u32::MAX);
        Ok(f64::from(quantity) * self.settings.price)
    }
}
