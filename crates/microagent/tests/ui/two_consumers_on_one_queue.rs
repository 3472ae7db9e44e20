use microagent::prelude::*;

const MAILER: Queue = Queue::new("mailer");

struct EmailAgent;

#[agent]
impl EmailAgent {
    #[consumer(MAILER)]
    async fn send(&self, text: String) {
        info!("{text}");
    }

    #[consumer(MAILER, concurrency = 8)]
    async fn send_too(&self, text: String) {
        info!("{text}");
    }
}

fn main() {}
