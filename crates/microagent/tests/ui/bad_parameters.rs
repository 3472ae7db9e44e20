#![allow(unused_variables)]

use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {
    by: String,
}

const MAILER: Queue = Queue::new("mailer");
const PUSHER: Queue = Queue::new("pusher");

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started)]
    async fn borrowed(&self, by: &str) {}

    #[receiver(Started)]
    async fn message(&self, message: &Message) {}

    #[receiver(Started)]
    async fn by_value(&self, cx: Context) {}

    #[receiver(Started)]
    async fn pattern(&self, (a, b): (u8, u8)) {}

    #[receiver(Started)]
    async fn twice(&self, Payload(a): Payload<Started>, Payload(b): Payload<Value>) {}

    #[consumer(MAILER)]
    async fn sender(&self, sender: Sender, delivery: Delivery) {}

    #[consumer(PUSHER, autoack = false)]
    async fn unsettled(&self) {}

    #[periodic(1)]
    async fn field(&self, user_id: u64) {}

    #[receiver(Started)]
    async fn generic<T>(&self) {}
}

fn main() {}
