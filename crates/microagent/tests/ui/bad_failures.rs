use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

const MAILER: Queue = Queue::new("mailer");

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started, on_error = dead_letter)]
    async fn a_signal_is_no_message(&self) {}

    #[receiver(Started, on_undecodable = dead_letter)]
    async fn it_can_only_be_dropped_or_decoded_again(&self) {}

    #[cron("@daily", on_undecodable = drop)]
    async fn a_schedule_has_no_payload(&self) {}

    #[periodic(15, on_undecodable = drop)]
    async fn nor_has_a_period(&self) {}

    #[consumer(MAILER, on_error = ignore, on_crash = drop)]
    async fn no_such_choice(&self) {}

    #[periodic(15, retry = 3)]
    async fn it_does_not_say_when(&self) {}
}

fn main() {}
