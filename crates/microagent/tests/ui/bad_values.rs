use microagent::prelude::*;

#[derive(Serialize, Deserialize, Signal)]
struct Started {}

const MAILER: Queue = Queue::new("mailer");
const PUSHER: Queue = Queue::new("pusher");

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(Started, timeout = 30s)]
    async fn unit_without_quotes(&self) {}

    #[receiver(Started, timeout = 0, backoff(1, 2))]
    async fn no_time(&self) {}

    #[receiver(Started, Started)]
    async fn listed_twice(&self) {}

    #[receiver(Started, timeout 5)]
    async fn no_equals_sign(&self) {}

    #[consumer("mailer")]
    async fn queue_as_text(&self) {}

    #[consumer(MAILER, prefetch = 4)]
    async fn prefetches_too_little(&self) {}

    #[consumer(PUSHER, MAILER, driver(x = 1, x = 2), backoff(1))]
    async fn two_queues(&self) {}

    #[periodic(timeout = 1)]
    async fn no_period(&self) {}

    #[periodic(15, period = 20)]
    async fn two_periods(&self) {}

    #[cron("@daily", "@hourly", overlap = drop)]
    async fn two_schedules(&self) {}
}

fn main() {}
