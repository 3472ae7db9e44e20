//! The orders: a consumer with a DTO, whose failures are retried.

use microagent::prelude::*;

use crate::{Mail, Payments, queues, signals};

/// An order in the queue `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The number of the order.
    pub order_id: String,
    /// The name of the item.
    pub item: String,
    /// The number of items.
    pub quantity: u64,
    /// The address of the customer.
    pub email: String,
}

/// Charges orders.
#[derive(Debug)]
pub struct Orders {
    payments: Payments,
}

#[agent]
impl Orders {
    /// All handlers of the agent share the client.
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        Ok(Self::with(Payments::with_settings(cx.settings()?)))
    }

    /// `Err` retries after 0.2, 1 and 4 s; after that the message is in `orders.dead`, with the reason.
    #[consumer(queues::ORDERS, timeout = 10, retry("200ms", 1, 4))]
    async fn pay(&self, cx: &Context, Payload(order): Payload<Order>) -> Result<()> {
        if order.quantity == 0 {
            return Err(Error::terminal("an order of nothing")); // no retry can help: a dead letter at once
        }
        // `?` alone takes the errors of the standard library; `.context(…)?` takes any error.
        let total = self.payments.charge(&order).await.context("charging")?;
        let mail = Mail {
            to: order.email,
            subject: format!("Your order {}: {total:.2} EUR", order.order_id),
        };
        let paid = signals::OrderPaid {
            order_id: order.order_id,
            item: order.item,
            quantity: order.quantity.into(),
            total: total.into(),
        };
        // An error below retries the whole handler. The order is not charged again, and its receivers count it once; the
        // customer may get a second mail.
        cx.broker().send(queues::MAILS, &mail).await?;
        cx.bus().send("orders", paid).await
    }
}

impl Orders {
    /// Creates the agent with a client of the payment service.
    #[must_use]
    pub fn with(payments: Payments) -> Self {
        Self { payments }
    }
}
