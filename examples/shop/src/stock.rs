//! The stock: it answers calls, and its state is shared by two receivers.

use std::collections::{HashMap, HashSet};

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: HashMap<String, u64>,
    /// The numbers of the orders that were counted: a signal may come twice.
    counted: HashSet<String>,
}

#[agent]
impl Stock {
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        let Settings { items } = cx.settings()?;
        let state = Mutex::new(State {
            left: items,
            counted: HashSet::new(),
        });
        Ok(Self { state })
    }

    /// Answers the call with the number of items that are left.
    #[receiver(signals::StockAsked)]
    async fn left(&self, item: String) -> u64 {
        let state = self.state.lock().await;
        state.left.get(&item).copied().unwrap_or(0)
    }

    #[receiver(signals::OrderPaid)]
    async fn sold(&self, order_id: String, item: String, quantity: u64) {
        let mut state = self.state.lock().await;
        if !state.counted.insert(order_id) {
            return;
        }
        if let Some(left) = state.left.get_mut(&item) {
            *left = left.saturating_sub(quantity);
            info!(item, left, "sold");
        }
    }
}
