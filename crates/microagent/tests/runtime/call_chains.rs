//! Calls that are made in receivers: how deep they go, and how long they last.

use std::time::Duration;

use microagent::{ErrorKind, prelude::*};
use tokio::time::{Instant, sleep};
use tracing::Level;

use super::{CommentsCount, Diary, UserCreated, bus, log::Log, pass, seconds_since};

const SECOND: Duration = Duration::from_secs(1);

/// Asks for the price of a thing.
#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct PriceAsked {}

/// Asks whether a thing is there.
#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct StockAsked {}

struct Orders(Diary);

#[agent]
impl Orders {
    #[receiver(PriceAsked)]
    async fn price(&self, cx: &Context) -> Result<u64> {
        self.0.write("price");
        cx.bus().call("orders", StockAsked {}).await?.one()
    }
}

struct Stock(Diary);

#[agent]
impl Stock {
    #[receiver(StockAsked)]
    async fn check(&self, cx: &Context) -> Result<u64> {
        self.0.write("check");
        cx.bus().call("stock", PriceAsked {}).await?.one()
    }
}

#[tokio::test(start_paused = true)]
async fn receivers_that_call_each_other_end_with_an_error_that_names_the_chain() {
    let (log, _guard) = Log::keep();
    let (diary, bus, began) = (Diary::default(), bus().await, Instant::now());
    let orders = Agent::new(Orders(diary.clone())).bus(bus.clone());
    let orders = orders.start().await.unwrap();
    let stock = Agent::new(Stock(diary.clone())).bus(bus.clone());
    let stock = stock.start().await.unwrap();

    let call = bus.call("shell", PriceAsked {}).timeout(3 * SECOND);
    let answer = call.await.unwrap();
    let error = answer.get::<u64>("Orders.price").unwrap_err().to_string();
    let chain = "more than 16 calls inside each other: Orders.price → Stock.check → Orders.price";
    assert!(error.contains(chain), "{error}");
    assert_eq!(seconds_since(began), 0);

    pass(100 * SECOND).await;
    assert_eq!(diary.len(), 17, "{diary:?}");
    assert_eq!(log.of_level(Level::ERROR), ["handler failed"; 17]);
    orders.stop().await.unwrap();
    stock.stop().await.unwrap();
}

struct Silent;

#[agent]
impl Silent {
    #[receiver(UserCreated)]
    async fn silent(&self) {
        std::future::pending::<()>().await;
    }
}

/// Says how its call ended, and after how long.
struct Asking(Diary);

#[agent]
impl Asking {
    #[receiver(CommentsCount, timeout = 30)]
    async fn asks(&self, cx: &Context) {
        let began = Instant::now();
        let call = cx.bus().call("asking", UserCreated { user_id: 1 });
        let error = call.timeout(20 * SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        self.0.write(format!("{} s: {error}", seconds_since(began)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_receiver_waits_no_longer_than_its_caller() {
    let (diary, bus) = (Diary::default(), bus().await);
    let silent = Agent::new(Silent).bus(bus.clone()).start().await.unwrap();
    let asking = Agent::new(Asking(diary.clone())).bus(bus.clone());
    let asking = asking.start().await.unwrap();

    let call = bus.call("test", CommentsCount { user_id: 1 });
    let error = call.timeout(3 * SECOND).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // Nobody waits for a signal that is not a call: its receiver has the time that it asks for.
    bus.send("test", CommentsCount { user_id: 1 })
        .await
        .unwrap();
    pass(40 * SECOND).await;
    let ends = [
        "3 s: no answer to `user_created` before the caller of `Asking.asks` stopped waiting",
        "20 s: no answer to `user_created` within 20s",
    ];
    assert_eq!(diary.read(), ends);
    asking.stop().await.unwrap();
    drop(silent);
}

struct OneAtATime(Diary);

#[agent]
impl OneAtATime {
    #[receiver(CommentsCount, concurrency = 1)]
    async fn slow(&self, user_id: u64) {
        self.0.write(user_id.to_string());
        sleep(2 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_has_given_up_is_not_started() {
    let (diary, bus) = (Diary::default(), bus().await);
    let agent = Agent::new(OneAtATime(diary.clone())).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let call = |user_id, timeout| {
        let call = bus.call("test", CommentsCount { user_id });
        call.timeout(timeout).into_future()
    };
    let (first, second, third) =
        tokio::join!(call(1, 3 * SECOND), call(2, SECOND), call(3, 5 * SECOND),);
    first.unwrap();
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Timeout);
    third.unwrap();
    assert_eq!(diary.read(), ["1", "3"]);
    assert_eq!(
        agent.info()["stats"]["slow"],
        json!({"done": 2, "dropped": 1})
    );
    agent.stop().await.unwrap();
}

struct Failing(Diary);

#[agent]
impl Failing {
    #[receiver(CommentsCount, retry(1, 4, 9))]
    async fn fails(&self) -> Result<u64> {
        self.0.write("run");
        Err("no database".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_not_retried_for_a_caller_that_has_given_up() {
    let (diary, bus) = (Diary::default(), bus().await);
    let agent = Agent::new(Failing(diary.clone())).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let call = bus.call("test", CommentsCount { user_id: 1 });
    let answer = call.timeout(3 * SECOND).await.unwrap();
    let error = answer.one::<u64>().unwrap_err();
    assert_eq!(error.to_string(), "`Failing.fails` failed: no database");
    pass(100 * SECOND).await;
    assert_eq!(diary.len(), 2, "the retry after 4 s would be too late");
    agent.stop().await.unwrap();
}
