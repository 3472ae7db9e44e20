//! Every option of every attribute reaches the runtime, in each way in which it can be written.

use std::time::Duration;

use microagent::prelude::*;

use super::{MAILER, UserCreated, UserDeleted};

const PUSHER: Queue = Queue::new("pusher");
const LIMIT: Duration = Duration::from_secs(90);
const WORKERS: usize = 3;

struct Optioned;

#[agent]
impl Optioned {
    #[receiver(UserCreated, UserDeleted, timeout = 0.5, concurrency = 2, buffer = 0, overflow = drop_newest)]
    async fn heard(&self) {}

    #[receiver(UserCreated, timeout = LIMIT)]
    async fn heard_longer(&self) {}

    #[consumer(
        MAILER,
        timeout = "1500ms",
        concurrency = 4,
        prefetch = 40,
        autoack = true,
        retry("500ms", 1.5, 10),
        dead_letter = "lost_mails",
        max_crashes = 9
    )]
    async fn taken(&self) {}

    #[consumer(PUSHER, concurrency = WORKERS, dead_letter = "none", retry(), overflow_of_driver = 1)]
    #[cfg(any())]
    async fn never(&self) {}

    #[consumer(PUSHER, concurrency = WORKERS, dead_letter = "none", retry())]
    async fn pushed(&self) {}

    #[periodic(15)]
    async fn short(&self) {}

    #[periodic(period = "2m", timeout = 10, start_after = 3, overlap = skip)]
    async fn long(&self) {}

    #[cron("0 */4 * * *")]
    async fn utc(&self) {}

    #[cron("@daily", timeout = 5, tz = "Europe/Berlin", overlap = queue)]
    async fn zoned(&self) {}
}
