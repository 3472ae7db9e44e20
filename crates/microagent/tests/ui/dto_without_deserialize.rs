use microagent::prelude::*;

const MAILER: Queue = Queue::new("mailer");

struct Mail {
    text: String,
}

struct Address(String);

struct EmailAgent;

#[agent]
impl EmailAgent {
    #[consumer(MAILER)]
    async fn send(&self, Payload(mail): Payload<Mail>, to: Address) {
        info!("{} {}", mail.text, to.0);
    }
}

fn main() {}
