use microagent::prelude::*;

mod signals {
    use microagent::prelude::*;

    #[derive(Serialize, Deserialize, Signal)]
    pub struct Started {}
}

struct Started;

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(signals::Started)]
    async fn whole(&self, _started: Started) {}
}

fn main() {}
