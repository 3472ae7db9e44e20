//! RPC over the bus: the first answer, all answers, and each way in which there is none.

use std::time::Duration;

use microagent::{ErrorKind, WaiterEnd, prelude::*};

use super::{CommentsCount, UserCreated, bus, pass};

struct Counter(u64);

#[agent]
impl Counter {
    #[receiver(CommentsCount)]
    async fn count(&self, user_id: u64) -> u64 {
        self.0 + user_id
    }

    #[receiver(CommentsCount)]
    async fn listens_only(&self) {}
}

struct Failing;

#[agent]
impl Failing {
    #[receiver(CommentsCount)]
    async fn fails(&self) -> Result<u64> {
        Err("no database".into())
    }

    #[receiver(UserCreated)]
    async fn silent(&self) {
        std::future::pending::<()>().await;
    }
}

fn question() -> CommentsCount {
    CommentsCount { user_id: 1 }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_is_an_object_with_all_receivers_of_that_process() {
    let bus = bus().await;
    let agent = Agent::new(Counter(2))
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    let answer = bus.call("test", question()).await.unwrap();
    assert_eq!(
        answer.to_string(),
        r#"{"Counter.count":3,"Counter.listens_only":null}"#
    );
    assert_eq!(answer.get::<u64>("Counter.count").unwrap(), 3);
    assert_eq!(answer.one::<u64>().unwrap(), 3);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn agents_on_one_bus_handle_answer_together_and_failures_ride_along() {
    let bus = bus().await;
    let counter = Agent::new(Counter(2))
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    let failing = Agent::new(Failing).bus(bus.clone()).start().await.unwrap();
    let answer = bus.call("test", question()).await.unwrap();
    assert_eq!(
        answer.to_string(),
        r#"{"Counter.count":3,"Counter.listens_only":null,"Failing.fails":null,"$errors":{"Failing.fails":"no database"}}"#
    );
    let error = answer.get::<u64>("Failing.fails").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Remote, "`Failing.fails` failed: no database")
    );

    let twice = Agent::new(Counter(2))
        .bus(bus.clone())
        .start()
        .await
        .unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Configuration);
    let answer = bus.call("test", question()).await.unwrap();
    assert_eq!(
        answer.get::<u64>("Counter.count").unwrap(),
        3,
        "the refused one did not end the first"
    );
    counter.stop().await.unwrap();
    failing.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_responders_a_timeout_and_a_remote_error_are_different_errors() {
    let bus = bus().await;
    let error = bus.call("test", question()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            ErrorKind::NoResponders,
            "nobody listens to `comments_count`"
        )
    );

    let agent = Agent::new(Failing).bus(bus.clone()).start().await.unwrap();
    let error = bus
        .call("test", question())
        .await
        .unwrap()
        .one::<u64>()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);

    let began = tokio::time::Instant::now();
    let silent = bus
        .call("test", UserCreated { user_id: 1 })
        .timeout(Duration::from_secs(5));
    let error = silent.await.unwrap_err();
    assert_eq!(
        (error.kind(), super::seconds_since(began)),
        (ErrorKind::Timeout, 5)
    );
    assert_eq!(error.to_string(), "no answer to `user_created` within 5s");
    assert_eq!(bus.call_counts().0, 0, "nothing waits any more");
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_the_answers_of_all_processes() {
    let connect = || Bus::connect("memory://waiter");
    let (asking, one, other) = (
        connect().await.unwrap(),
        connect().await.unwrap(),
        connect().await.unwrap(),
    );
    let agents = [
        Agent::new(Counter(10)).bus(one).start().await.unwrap(),
        Agent::new(Counter(20)).bus(other).start().await.unwrap(),
    ];
    let mut waiter = asking.waiter("test", question()).await.unwrap();
    // The waiter receives answers without another handle of the bus.
    drop(asking);
    let mut counts = Vec::new();
    while let Some(answer) = waiter.next().await {
        counts.push(answer.one::<u64>().unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, [11, 21]);
    assert_eq!(waiter.end(), Some(&WaiterEnd::Complete));
    for agent in agents {
        agent.stop().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_ends_at_its_deadline_when_somebody_who_heard_is_silent() {
    let connect = || Bus::connect("memory://deadline");
    let (asking, one) = (connect().await.unwrap(), connect().await.unwrap());
    let agent = Agent::new(Counter(10)).bus(one).start().await.unwrap();
    let _eavesdropper = asking
        .driver()
        .subscribe("PUBSUB:comments_count:*")
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let mut waiter = asking
        .waiter("test", question())
        .timeout(Duration::from_secs(7))
        .await
        .unwrap();
    assert!(waiter.next().await.is_some());
    assert!(waiter.next().await.is_none());
    assert_eq!(super::seconds_since(began), 7);
    assert_eq!(
        waiter.end(),
        Some(&WaiterEnd::Deadline { missing: Some(1) })
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_counted_and_harms_nothing() {
    struct Late;

    #[agent]
    impl Late {
        #[receiver(CommentsCount)]
        async fn late(&self) -> u64 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            1
        }
    }

    let bus = bus().await;
    let agent = Agent::new(Late).bus(bus.clone()).start().await.unwrap();
    assert!(
        bus.call("test", question())
            .timeout(Duration::from_secs(1))
            .await
            .is_err()
    );
    pass(Duration::from_secs(10)).await;
    assert_eq!(bus.call_counts(), (0, 1));
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_dropped_answers_no_more() {
    let bus = bus().await;
    let agent = Agent::new(Counter(2))
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    drop(agent);
    pass(Duration::ZERO).await;
    let error = bus.call("test", question()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoResponders);
}
