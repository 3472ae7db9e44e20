use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

struct UserAgent;

impl UserAgent {
    #[receiver(Started)]
    async fn started(&self) {}

    #[consumer(Queue::new("mailer"))]
    async fn taken(&self) {}

    #[periodic(15)]
    async fn tick(&self) {}

    #[cron("@daily")]
    async fn daily(&self) {}

    #[on(server)]
    async fn serve(&self) {}
}

fn main() {}
