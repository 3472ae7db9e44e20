use microagent::prelude::*;

const MAILER: Queue = Queue::new("mailer");

struct EmailAgent;

#[agent]
impl EmailAgent {
    #[consumer(MAILER)]
    async fn send(&self, text: String) {
        info!("{text}");
    }
}

#[agent]
impl EmailAgent {
    #[periodic(60)]
    async fn report(&self) {}
}

fn main() {}
