use microagent::prelude::*;

struct Reporter;

#[agent]
impl Reporter {
    #[periodic(15, jitter = 15)]
    async fn as_late_as_the_next(&self) {}

    #[periodic(15, once)]
    async fn on_no_instant(&self) {}

    #[cron("@hourly", jitter = "2 days")]
    async fn on_another_day(&self) {}

    #[cron("@hourly", once = "yes")]
    async fn neither_true_nor_false(&self) {}

    #[cron("@hourly", once, once)]
    async fn twice(&self) {}

    #[cron("@hourly", once(crashed = retry))]
    async fn no_such_choice(&self) {}

    #[cron("@hourly", once(crash = run))]
    async fn no_such_doubt(&self) {}

    #[cron("@hourly", ones)]
    async fn misspelt(&self) {}
}

fn main() {}
