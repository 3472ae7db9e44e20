//! The status of an agent: its work by handler, its queues and schedules, and the states of its life.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use microagent::{
    Clock,
    prelude::*,
    status::{AgentState, HandlerKind, HandlerStatus, STATUS_VERSION, Status, StatusSlot},
};
use microagent_testing::VirtualClock;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{MAILER, UserCreated, broker, bus, pass};

fn handler<'a>(status: &'a Status, name: &str) -> &'a HandlerStatus {
    let mut handlers = status.handlers.iter();
    handlers.find(|handler| handler.name == name).unwrap()
}

/// Does what a message asks for.
struct Mixed {
    places: Arc<Semaphore>,
}

#[agent]
impl Mixed {
    #[consumer(MAILER, concurrency = 2, prefetch = 8, retry(5))]
    async fn work(&self, what: String) -> Result<()> {
        match what.as_str() {
            "wait" => {
                let place = self.places.acquire().await;
                place.unwrap().forget();
            }
            "fail" => return Err("no such customer".into()),
            _ => sleep(Duration::from_millis(20)).await,
        }
        Ok(())
    }

    #[receiver(UserCreated)]
    async fn welcome(&self, user_id: u64) {
        sleep(Duration::from_millis(user_id)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_handler_counts_its_work_and_knows_what_runs() {
    let (bus, broker) = (bus().await, broker().await);
    let places = Arc::new(Semaphore::new(0));
    let mixed = Mixed {
        places: Arc::clone(&places),
    };
    let agent = Agent::new(mixed).bus(bus.clone()).broker(broker.clone());
    let agent = agent.name("front").start().await.unwrap();
    for what in ["work", "fail"] {
        broker.send(MAILER, &json!({"what": what})).await.unwrap();
    }
    bus.send("web", UserCreated { user_id: 400 }).await.unwrap();
    pass(Duration::from_secs(60)).await;
    for _ in 0..5 {
        broker.send(MAILER, &json!({"what": "wait"})).await.unwrap();
    }
    pass(Duration::from_secs(7)).await;

    agent.status_source().refresh().await;
    let status = agent.status();
    assert_eq!(status.version, STATUS_VERSION);
    assert_eq!((&*status.agent, &*status.agent_type), ("front", "Mixed"));
    assert_eq!(status.agent_version, env!("CARGO_PKG_VERSION"));
    let work = handler(&status, "work");
    assert_eq!((work.kind, &*work.source), (HandlerKind::Queue, "mailer"));
    assert_eq!((work.received, work.done, work.failed), (7, 1, 2));
    assert_eq!((work.retried, work.dead_lettered), (1, 1));
    assert_eq!(work.redelivered, 1, "the second attempt");
    assert_eq!((work.running, work.waiting, work.limit), (2, 2, Some(2)));
    let running_for = |since: &SystemTime| status.at.duration_since(*since).unwrap().as_secs();
    let running: Vec<_> = work.running_since.iter().map(running_for).collect();
    assert_eq!(running, [7, 7]);
    assert_eq!(work.durations.count(), 3, "all ends are runs");
    let error = work.last_error.as_ref().unwrap();
    assert_eq!(error.text, "no such customer");
    assert!(work.last_success.unwrap() < error.at);

    let welcome = handler(&status, "welcome");
    assert_eq!((welcome.kind, welcome.received), (HandlerKind::Signal, 1));
    assert_eq!(welcome.durations.counts[8], 1, "250 to 500 ms");
    assert_eq!(welcome.durations.sum, Duration::from_millis(400));

    let queue = &status.queues[0];
    let depth = queue.depth.unwrap();
    assert_eq!((&*queue.name, queue.dead), ("mailer", Some(1)));
    assert_eq!((depth.waiting, depth.in_flight), (Some(0), Some(5)));

    let text = serde_json::to_string(&status).unwrap();
    let again: Status = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    places.add_permits(5);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_counters_of_info_are_those_of_the_status() {
    let broker = broker().await;
    let mixed = Mixed {
        places: Arc::new(Semaphore::new(0)),
    };
    let agent = Agent::new(mixed).bus(bus().await).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.send(MAILER, &json!({"what": 7})).await.unwrap();
    pass(Duration::from_secs(1)).await;
    let (status, info) = (agent.status(), agent.info());
    let work = handler(&status, "work");
    assert_eq!((work.undecodable, work.dead_lettered), (1, 1));
    assert_eq!(work.durations.count(), 0, "no run");
    let counted = json!({"done": 0, "undecodable": 1, "dead_lettered": 1});
    assert_eq!(info["stats"]["work"], counted);
    agent.stop().await.unwrap();
}

struct Scheduled;

#[agent]
impl Scheduled {
    #[periodic(period = 10, start_after = 1, overlap = skip, timeout = 60)]
    async fn slow(&self) {
        sleep(Duration::from_secs(25)).await;
    }

    #[cron("0 12 * * *", tz = "Europe/Berlin")]
    async fn report(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_schedule_knows_its_fires() {
    let clock = VirtualClock::at("2026-06-01T00:00:00Z").unwrap();
    let start = clock.now();
    let agent = Agent::new(Scheduled).clock(clock).start().await.unwrap();
    sleep(Duration::from_secs(35)).await;
    let status = agent.status();
    let at = |seconds| start + Duration::from_secs(seconds);
    let [slow, report] = &status.schedules[..] else {
        panic!("{:?}", status.schedules);
    };
    assert_eq!((&*slow.handler, &*slow.schedule), ("slow", "10s"));
    assert_eq!((slow.last, slow.next), (Some(at(31)), Some(at(41))));
    assert_eq!(slow.skipped.overlapping, 2, "at 11 and 21");
    assert_eq!(slow.delay, Duration::ZERO);
    assert_eq!(handler(&status, "slow").received, 4);
    assert_eq!(handler(&status, "slow").dropped, 2);
    assert_eq!(report.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!((report.last, report.next), (None, Some(at(10 * 3600))));
    agent.stop().await.unwrap();
}

struct Staged {
    may_start: Arc<Semaphore>,
    may_stop: Arc<Semaphore>,
}

#[agent]
impl Staged {
    #[on(post_start)]
    async fn begin(&self) {
        self.may_start.acquire().await.unwrap().forget();
    }

    #[on(pre_stop)]
    async fn end(&self) {
        self.may_stop.acquire().await.unwrap().forget();
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_starting_ready_draining_and_stopped() {
    let (may_start, may_stop) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let staged = Staged {
        may_start: Arc::clone(&may_start),
        may_stop: Arc::clone(&may_stop),
    };
    let slot = StatusSlot::new();
    assert!(slot.get().is_none());
    let began = Instant::now();
    let starting = tokio::spawn(Agent::new(staged).status_slot(slot.clone()).start());
    pass(Duration::from_secs(3)).await;
    let source = slot.get().unwrap().clone();
    let state = || {
        let status = source.status();
        let since = status.since.duration_since(status.started).unwrap();
        (status.state, since.as_secs())
    };
    assert_eq!(state(), (AgentState::Starting, 0));
    may_start.add_permits(1);
    let agent = starting.await.unwrap().unwrap();
    assert_eq!(state(), (AgentState::Ready, 3));
    pass(Duration::from_secs(2)).await;
    let stopping = tokio::spawn(agent.stop());
    pass(Duration::from_secs(2)).await;
    assert_eq!(state(), (AgentState::Draining, 5));
    may_stop.add_permits(1);
    stopping.await.unwrap().unwrap();
    assert_eq!(state(), (AgentState::Stopped, 7));
    assert_eq!(source.status().uptime, began.elapsed());
}

struct Refusing;

#[agent]
impl Refusing {
    #[on(post_start)]
    async fn begin(&self) -> Result<()> {
        Err("the licence has ended".into())
    }
}

#[tokio::test]
async fn an_agent_that_could_not_start_is_stopped_and_says_why() {
    let slot = StatusSlot::new();
    let started = Agent::new(Refusing).status_slot(slot.clone()).start().await;
    assert!(started.is_err());
    let status = slot.get().unwrap().status();
    assert_eq!(status.state, AgentState::Stopped);
    let reason = status.reason.unwrap();
    assert!(reason.contains("the licence has ended"), "{reason}");
}
