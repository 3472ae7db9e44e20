//! Sending to the wrong destination, as written by someone who has not read the guide.

use microagent::prelude::*;

const MAILER: Queue = Queue::new("mailer");

struct Newcomer;

#[agent]
impl Newcomer {
    #[periodic(15)]
    async fn tick(&self, cx: &Context) -> Result<()> {
        cx.broker().send("mailer", &json!({})).await?;
        cx.bus().send("newcomer", json!({"user_id": 7})).await?;
        cx.bus().call("newcomer", MAILER).await?;
        cx.broker().send(MAILER, &json!({})).await
    }
}

fn main() {}
