use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

struct UserAgent;

impl UserAgent {
    #[receiver(Started)]
    async fn started(&self) {}

    #[on(server)]
    async fn serve(&self) {}
}

fn main() {}
