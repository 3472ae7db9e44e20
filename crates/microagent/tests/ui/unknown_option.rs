use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

const MAILER: Queue = Queue::new("mailer");

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started, timout = 5)]
    async fn started(&self) {}

    #[consumer(MAILER, priority = 1, retry = 3)]
    async fn send(&self) {}

    #[periodic(15, delay = 2)]
    async fn tick(&self) {}

    #[cron("@daily", timezone = "UTC")]
    async fn daily(&self) {}

    #[on(prestart)]
    async fn setup(&self) {}
}

fn main() {}
