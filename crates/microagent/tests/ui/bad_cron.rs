use microagent::prelude::*;

struct Reporter;

#[agent]
impl Reporter {
    #[cron("0 25 * * *")]
    async fn no_such_hour(&self) {}

    #[cron("*/10 * * *")]
    async fn four_fields(&self) {}

    #[cron("0 0 * * mondays", timeout = 5)]
    async fn no_such_day(&self) {}

    #[cron(15)]
    async fn no_text(&self) {}
}

fn main() {}
