//! Attributes as written by someone who knows the decorators of Python's MicroAgent. Each error says what to write instead.

use microagent::prelude::*;

mod signals {
    use super::*;

    #[derive(Serialize, Deserialize, Signal)]
    pub struct UserComment {
        pub user_id: u64,
    }
}

const MAILER: Queue = Queue::new("mailer");
const ORDERS: Queue = Queue::new("orders");
const PARCELS: Queue = Queue::new("parcels");

struct Hooks;

#[agent]
impl Hooks {
    #[hook("pre_start")]
    fn a(&self) {}

    #[pre_stop]
    fn b(&self) {}

    #[on("prestart")]
    fn c(&self) {}

    #[on(PreStart)]
    fn d(&self) {}

    #[on(pre_start())]
    fn e(&self) {}

    #[on = "pre_start"]
    fn f(&self) {}

    #[on(pre_start, post_start)]
    fn g(&self) {}

    #[on(42)]
    fn h(&self) {}
}

struct Receivers;

#[agent]
impl Receivers {
    #[receiver("user_comment")]
    fn a(&self) {}

    #[receiver(signals.user_comment)]
    fn b(&self) {}

    #[receiver(signals::user_comment)]
    fn c(&self) {}

    #[receiver([signals::UserComment])]
    fn d(&self) {}

    #[receiver(signals::UserComment, timeout)]
    fn e(&self) {}

    #[receiver(signals::UserComment)]
    fn g(&self, sender: String, signal: &str) {
        info!("{sender} {signal}");
    }

    #[receiver(signals::UserComment())]
    fn h(&self) {}
}

struct Consumers;

#[agent]
impl Consumers {
    #[consumer("mailer")]
    fn a(&self) {}

    #[consumer(queues.mailer)]
    fn b(&self) {}

    #[consumer(mailer)]
    fn c(&self) {}

    #[consumer(queue = MAILER)]
    fn d(&self) {}

    #[consumer(MAILER, dto_class = Mail, dto_name = "mail")]
    fn e(&self) {}

    #[consumer(ORDERS, autoack = False)]
    fn f(&self) {}

    #[consumer(PARCELS, autoack)]
    fn g(&self) {}
}

struct Schedules;

#[agent]
impl Schedules {
    #[periodic(5, "4", 10)]
    fn b(&self) {}

    #[periodic(period)]
    fn c(&self) {}

    #[cron(* * * * *)]
    fn d(&self) {}

    #[cron(spec = "* * * * *")]
    fn e(&self) {}

    #[cron("* * * * *", 5)]
    fn f(&self) {}

    #[cron(0 */4 * * *, timeout = 5)]
    fn g(&self) {}
}

fn main() {}
