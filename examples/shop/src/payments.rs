//! The payment service, which declines now and then, and the client that charges orders at it.

use std::{collections::HashMap, error, fmt, sync::Arc};

use microagent::prelude::*;
use tokio::sync::Mutex;

use crate::Order;

/// The settings of the agent [`Orders`](crate::Orders).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The price of an item.
    price: f64,
    /// The service declines each n-th request; with 0 it declines none. Default: 0.
    #[serde(default)]
    decline_every: u64,
}

/// The client of the payment service.
///
/// A message is delivered at least once, so an order may come twice: its consumer died before it settled the message, or the
/// customer sent it again. Each request therefore has an *idempotency key*, the number of the order, and the service charges a
/// key once. The id of the message would not do: an order that is sent twice is in two messages.
#[derive(Debug)]
pub struct Payments {
    price: f64,
    service: Arc<PaymentService>,
}

impl Payments {
    /// Creates a client of this service, which charges `price` for each item.
    #[must_use]
    pub fn new(price: f64, service: Arc<PaymentService>) -> Self {
        Self { price, service }
    }

    /// Creates a client of a service of its own.
    pub(crate) fn with_settings(settings: Settings) -> Self {
        let service = PaymentService::declining_every(settings.decline_every);
        Self::new(settings.price, Arc::new(service))
    }

    /// Charges an order and returns the sum. An order that was charged before is not charged again; the sum is that of the
    /// first time.
    ///
    /// # Errors
    /// [`Declined`], now and then.
    pub async fn charge(&self, order: &Order) -> std::result::Result<f64, Declined> {
        let quantity = u32::try_from(order.quantity).unwrap_or(u32::MAX);
        let sum = f64::from(quantity) * self.price;
        self.service.charge(&order.order_id, sum).await
    }
}

/// A payment service. It stands for one on the network, which keeps its records longer than an agent lives; a test
/// that crashes the agent keeps it in the same way.
#[derive(Debug, Default)]
pub struct PaymentService {
    decline_every: u64,
    records: Mutex<Records>,
}

#[derive(Debug, Default)]
struct Records {
    requests: u64,
    /// The sums, by idempotency key.
    charges: HashMap<String, f64>,
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

impl PaymentService {
    /// Creates a service that declines each n-th request; with 0 it declines none.
    #[must_use]
    pub fn declining_every(n: u64) -> Self {
        Self {
            decline_every: n,
            records: Mutex::default(),
        }
    }

    /// Charges a sum, once for each key, and returns the sum that was charged.
    ///
    /// # Errors
    /// [`Declined`] for each n-th request whose key is new.
    pub async fn charge(&self, key: &str, sum: f64) -> std::result::Result<f64, Declined> {
        let mut records = self.records.lock().await;
        if let Some(charged) = records.charges.get(key) {
            info!(key, "charged before");
            return Ok(*charged);
        }
        records.requests += 1;
        if self.decline_every > 0 && records.requests.is_multiple_of(self.decline_every) {
            return Err(Declined);
        }
        records.charges.insert(key.to_owned(), sum);
        Ok(sum)
    }

    /// Returns the sums that were charged, by key.
    pub async fn charges(&self) -> HashMap<String, f64> {
        self.records.lock().await.charges.clone()
    }
}
