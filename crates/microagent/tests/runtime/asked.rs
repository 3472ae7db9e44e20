//! Questions on the bus about the status of agents: who answers, how often and for how long.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use microagent::{
    ErrorKind,
    driver::{BusOptions, MemoryBus, SignalBus},
    prelude::*,
    status::{AgentId, AgentState, STATUS_LEASE, StatusSlot, StatusWatch, WatchEvent},
};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Level;

use super::{log::Log, pass};

/// Starts and stops as the test allows.
struct Staged {
    may_start: Arc<Semaphore>,
    may_stop: Arc<Semaphore>,
}

#[agent]
impl Staged {
    #[on(pre_start)]
    async fn begin(&mut self) {
        self.may_start.acquire().await.unwrap().forget();
    }

    #[on(pre_stop)]
    async fn end(&self) {
        self.may_stop.acquire().await.unwrap().forget();
    }
}

impl Staged {
    /// An agent that starts and stops at once.
    fn free() -> Self {
        Self {
            may_start: Arc::new(Semaphore::new(1)),
            may_stop: Arc::new(Semaphore::new(1)),
        }
    }
}

/// A bus, and its driver to listen to everything.
fn bus() -> (Bus, Arc<MemoryBus>) {
    let driver = Arc::new(MemoryBus::new());
    let options = BusOptions::default().host("shop-1").prefix("SHOP");
    (Bus::with_options(driver.clone(), options).unwrap(), driver)
}

/// The answers that have arrived, as the agent and its state.
fn answers(watch: &mut StatusWatch) -> Vec<(String, AgentState)> {
    let mut answers = Vec::new();
    while let Some(event) = watch.next().now_or_never() {
        let Some(WatchEvent::Answer(answer)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(
            (&*answer.id.host, answer.id.pid),
            ("shop-1", std::process::id())
        );
        answers.push((answer.id.agent, answer.status.unwrap().state));
    }
    answers
}

fn names(agents: Vec<AgentId>) -> Vec<String> {
    agents.into_iter().map(|id| id.agent).collect()
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_each_second_until_its_lease_ends() {
    let (bus, driver) = bus();
    let agent = Agent::new(Staged::free()).bus(bus.clone()).name("mailer");
    let agent = agent.start().await.unwrap();
    let mut all = driver.subscribe("*").await.unwrap();
    pass(Duration::from_secs(3600)).await;
    assert!(all.next().now_or_never().is_none(), "nobody has asked");

    let mut watch = StatusWatch::open(&bus).await.unwrap();
    watch.ask().await.unwrap();
    pass(Duration::ZERO).await;
    let ready = ("mailer".to_owned(), AgentState::Ready);
    assert_eq!(answers(&mut watch), [ready], "at once");
    pass(Duration::from_secs(3600)).await;
    let seconds = STATUS_LEASE.as_secs();
    assert_eq!(answers(&mut watch).len() as u64, seconds);

    // A question prolongs the lease and is not answered on its own.
    let began = Instant::now();
    while began.elapsed() < STATUS_LEASE {
        for _ in 0..100 {
            watch.ask().await.unwrap();
        }
        pass(Duration::from_millis(99)).await;
    }
    assert_eq!(answers(&mut watch).len() as u64, seconds);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn starting_and_draining_agents_answer_and_stopped_ones_do_not() {
    let (bus, _) = bus();
    let (may_start, may_stop) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let staged = Staged {
        may_start: Arc::clone(&may_start),
        may_stop: Arc::clone(&may_stop),
    };
    let starting = tokio::spawn(Agent::new(staged).bus(bus.clone()).start());
    pass(Duration::ZERO).await;
    let mut watch = StatusWatch::open(&bus).await.unwrap();
    let mut state = async || {
        watch.ask().await.unwrap();
        pass(Duration::from_secs(1)).await;
        let answers = answers(&mut watch);
        answers.last().map(|(_, state)| *state)
    };
    assert_eq!(state().await, Some(AgentState::Starting));
    may_start.add_permits(1);
    let agent = starting.await.unwrap().unwrap();
    assert_eq!(state().await, Some(AgentState::Ready));
    let stopping = tokio::spawn(agent.stop());
    assert_eq!(state().await, Some(AgentState::Draining));
    may_stop.add_permits(1);
    stopping.await.unwrap().unwrap();
    state().await;
    assert_eq!(state().await, None);
    assert_eq!(names(watch.agents().await.unwrap()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn agents_are_listed_until_they_end_in_any_way() {
    let (bus, _) = bus();
    let watch = StatusWatch::open(&bus).await.unwrap();
    let waiting = Staged {
        may_start: Arc::new(Semaphore::new(0)),
        may_stop: Arc::new(Semaphore::new(0)),
    };
    let slot = StatusSlot::new();
    let waiting = Agent::new(waiting).bus(bus.clone()).name("a:*/%é");
    let starting = tokio::spawn(waiting.status_slot(slot.clone()).start());
    let dropped = Agent::new(Staged::free()).bus(bus.clone()).name("dropped");
    let dropped = dropped.start().await.unwrap();
    pass(Duration::ZERO).await;
    let listed = async || names(watch.agents().await.unwrap());
    assert_eq!(listed().await, ["a:*/%é", "dropped"]);
    let prefixes = watch.prefixes().await.unwrap();
    assert_eq!(prefixes, BTreeSet::from([bus.prefix().to_owned()]));
    drop(dropped);
    pass(Duration::ZERO).await;
    assert_eq!(listed().await, ["a:*/%é"]);
    starting.abort();
    pass(Duration::ZERO).await;
    assert_eq!(listed().await, [""; 0]);
    let state = slot.get().unwrap().status().state;
    assert_eq!(state, AgentState::Stopped, "nobody waits for its start");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_question_is_logged_and_changes_nothing() {
    let (log, _guard) = Log::keep();
    let (bus, driver) = bus();
    let agent = Agent::new(Staged::free()).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let mut watch = StatusWatch::open(&bus).await.unwrap();
    pass(Duration::ZERO).await;
    let large = vec![b' '; 1 << 20];
    for payload in [&b"{"[..], b"\xff", b"[]", br#"{"version": 2}"#, &large] {
        let payload = payload.to_vec().into();
        driver.publish("SHOP:status:ask", payload).await.unwrap();
    }
    pass(Duration::from_secs(60)).await;
    assert_eq!(answers(&mut watch), []);
    assert_eq!(
        log.of_level(Level::WARN),
        ["invalid question about the status; ignored"],
        "the first of a thousand"
    );
    watch.ask().await.unwrap();
    pass(Duration::ZERO).await;
    assert_eq!(answers(&mut watch).len(), 1);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_foreign_answer_is_named_and_disturbs_nobody() {
    let (bus, driver) = bus();
    let mut watch = StatusWatch::open(&bus).await.unwrap();
    let id = "mailer/7/shop-2/1";
    let cases = [
        "{".to_owned(),
        "7".to_owned(),
        r#"{"version": 2}"#.to_owned(),
        r#"{"version": 1, "id": "x", "status": {}}"#.to_owned(),
    ];
    for case in cases {
        driver
            .publish("SHOP:status:answer", case.into())
            .await
            .unwrap();
        let event = watch.next().await;
        assert!(matches!(event, Some(WatchEvent::Invalid(_))), "{event:?}");
    }
    let newer = format!(r#"{{"version": 1, "id": "{id}", "status": {{"version": 7}}}}"#);
    driver
        .publish("SHOP:status:answer", newer.into())
        .await
        .unwrap();
    let Some(WatchEvent::Answer(answer)) = watch.next().await else {
        panic!("expected an answer");
    };
    assert_eq!(answer.id.to_string(), id);
    let error = answer.status.unwrap_err();
    assert_eq!(
        error,
        "its status has version 7, and this program reads version 1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_bus_ends_the_watch_and_the_answers() {
    let (log, _guard) = Log::keep();
    let (bus, _) = bus();
    let agent = Agent::new(Staged::free()).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let mut watch = StatusWatch::open(&bus).await.unwrap();
    pass(Duration::ZERO).await;
    bus.close().await.unwrap();
    assert!(watch.next().await.is_none());
    let error = watch.agents().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    agent.stop().await.unwrap();
    assert_eq!(log.of_level(Level::WARN), [""; 0]);
}
