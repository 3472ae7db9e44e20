use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

const MAILER: Queue = Queue::new("mailer");

struct NotJson;

#[derive(Debug)]
struct NoError;

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started)]
    async fn answers(&self) -> NotJson {
        NotJson
    }

    #[receiver(Started)]
    async fn fails(&self) -> Result<u64, NoError> {
        Err(NoError)
    }

    #[consumer(MAILER)]
    async fn answers_nobody(&self) -> u64 {
        7
    }
}

fn main() {}
