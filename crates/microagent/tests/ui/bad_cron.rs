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

    #[cron("5/10 * * * *")]
    async fn step_without_a_range(&self) {}

    #[cron("*/0 * * * *")]
    async fn step_of_nothing(&self) {}

    #[cron("1,,2 * * * *")]
    async fn empty_item(&self) {}

    #[cron("-5 * * * *")]
    async fn negative(&self) {}

    #[cron("0 17-9 * * *")]
    async fn reversed_range(&self) {}

    #[cron("0 0 31 4 *")]
    async fn never(&self) {}

    #[cron("@sometimes")]
    async fn no_such_nickname(&self) {}

    #[cron(15)]
    async fn no_text(&self) {}
}

fn main() {}
