//! The stock: it answers calls, and its state is shared by two receivers.

use std::collections::HashMap;

use microagent::prelude::*;
use tokio::sync::Mutex;

use crate::signals;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    items: HashMap<String, u64>,
}

/// Knows how many of each item are left.
#[derive(Debug)]
pub struct Stock {
    /// A lock of tokio: a handler that panics does not poison it.
    left: Mutex<HashMap<String, u64>>,
}

#[agent]
impl Stock {
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        let Settings { items } = cx.settings()?;
        Ok(Self {
            left: Mutex::new(items),
        })
    }

    /// Answers the call with the number of items that are left.
    #[receiver(signals::StockAsked)]
    async fn left(&self, item: String) -> u64 {
        self.left.lock().await.get(&item).copied().unwrap_or(0)
    }

    #[receiver(signals::OrderPaid)]
    async fn sold(&self, item: String, quantity: u64) {
        if let Some(left) = self.left.lock().await.get_mut(&item) {
            *left = left.saturating_sub(quantity);
            info!(item, left, "sold");
        }
    }
}
