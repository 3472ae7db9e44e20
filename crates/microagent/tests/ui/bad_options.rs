use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

const MAILER: Queue = Queue::new("mailer");

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver]
    async fn nothing(&self) {}

    #[receiver(timeout = 5)]
    async fn no_signal(&self) {}

    #[receiver(Started, timeout = "5 parsecs", concurrency = 0, overflow = block)]
    async fn started(&self) {}

    #[receiver(Started, timeout = 5, timeout = 6)]
    async fn twice(&self) {}

    #[consumer(MAILER, retry(1, -4), autoack = "no", dead_letter = "Dead Letters")]
    async fn send(&self) {}

    #[periodic(0)]
    async fn never(&self) {}

    #[periodic(1, overlap = forbid)]
    #[cron("@daily")]
    async fn both(&self) {}
}

fn main() {}
