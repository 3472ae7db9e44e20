use microagent::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct UserCreated {
    user_id: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct Discount {
    user_id: u64,
}

const ORDERS: Queue = Queue::new("orders");
const MAILER: Queue = Queue::new("mailer");

#[derive(Default)]
struct Shop;

#[agent]
impl Shop {
    #[receiver(UserCreated)]
    async fn welcome(&self, cx: &Context, user_id: u64) -> Result<String> {
        cx.broker()
            .send(MAILER, &json!({"text": "welcome", "to": user_id}))
            .await?;
        Ok(format!("welcome, {user_id}"))
    }

    #[consumer(ORDERS)]
    async fn order(&self, cx: &Context, user_id: u64, price: u64) -> Result<()> {
        let discount: u64 = cx.bus().call("shop", Discount { user_id }).await?.one()?;
        let sum = price.saturating_sub(discount);
        cx.broker()
            .send(MAILER, &json!({"text": "bill", "sum": sum}))
            .await
    }

    #[cron("0 3 * * *")]
    async fn report(&self, cx: &Context) -> Result<()> {
        cx.broker().send(MAILER, &json!({"text": "report"})).await
    }

    fn vat(&self, price: u64) -> u64 {
        price / 5
    }
}
