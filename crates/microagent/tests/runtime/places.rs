//! Runs that go on at the same time: those that end at once share a task, and no other waits for it.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use microagent::prelude::*;
use tokio::{sync::Semaphore, time::timeout};

use super::{MAILER, broker, pass};

/// The runs that a waiting one waits for.
const OTHERS: u32 = 20;

/// The work of one run.
#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct Step {
    work: String,
}

async fn hear(bus: &Bus, work: &str) {
    let work = work.to_owned();
    bus.send("test", Step { work }).await.unwrap();
}

async fn queue(broker: &Broker, work: &str) {
    broker.send(MAILER, &json!({"work": work})).await.unwrap();
}

/// Ends most runs at once, and some only after the others.
struct Mixed {
    ended: Arc<Semaphore>,
    /// The number of begun runs that block beside another.
    pair: Arc<(Mutex<u32>, Condvar)>,
}

impl Mixed {
    fn new() -> Self {
        Self {
            ended: Arc::new(Semaphore::new(0)),
            pair: Arc::default(),
        }
    }

    async fn work(&self, work: &str) {
        match work {
            "waits for the others" => self.ended.acquire_many(OTHERS).await.unwrap().forget(),
            // Longer than a run that is quick.
            "blocks" => std::thread::sleep(Duration::from_millis(1)),
            "blocks beside another" => self.block_beside_another(),
            _ => {}
        }
        self.ended.add_permits(1);
    }

    fn block_beside_another(&self) {
        let (begun, changed) = &*self.pair;
        let mut begun = begun.lock().unwrap();
        *begun += 1;
        changed.notify_all();
        let alone = |begun: &mut u32| *begun < 2;
        let waited = changed.wait_timeout_while(begun, Duration::from_secs(60), alone);
        assert!(!waited.unwrap().1.timed_out(), "no other run beside");
    }
}

#[agent]
impl Mixed {
    #[receiver(Step)]
    async fn receive(&self, work: String) {
        self.work(&work).await;
    }

    #[consumer(MAILER, concurrency = 64)]
    async fn consume(&self, work: String) {
        self.work(&work).await;
    }
}

async fn start(bus: &Bus, broker: &Broker) -> (RunningAgent<Mixed>, Arc<Semaphore>) {
    let mixed = Mixed::new();
    let ended = Arc::clone(&mixed.ended);
    let agent = Agent::new(mixed).bus(bus.clone()).broker(broker.clone());
    (agent.start().await.unwrap(), ended)
}

/// Waits until so many runs have ended, and forgets them.
async fn ended(runs: &Semaphore, number: u32) {
    let ended = timeout(Duration::from_secs(60), runs.acquire_many(number));
    ended.await.unwrap().unwrap().forget();
}

#[tokio::test(start_paused = true)]
async fn signals_behind_one_whose_handler_waits_are_handled_meanwhile() {
    let bus = Bus::connect("memory://").await.unwrap();
    let (agent, runs) = start(&bus, &broker().await).await;
    for _ in 0..3 {
        hear(&bus, "ends at once").await;
    }
    ended(&runs, 3).await;

    hear(&bus, "waits for the others").await;
    for _ in 0..OTHERS {
        hear(&bus, "ends at once").await;
    }
    pass(Duration::from_secs(1)).await;
    assert_eq!(runs.available_permits(), 1, "the one that waited has ended");
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn messages_behind_one_whose_handler_waits_are_handled_meanwhile() {
    let broker = broker().await;
    let bus = Bus::connect("memory://").await.unwrap();
    let (agent, runs) = start(&bus, &broker).await;
    for _ in 0..3 {
        queue(&broker, "ends at once").await;
    }
    ended(&runs, 3).await;

    queue(&broker, "waits for the others").await;
    for _ in 0..OTHERS {
        queue(&broker, "ends at once").await;
    }
    pass(Duration::from_secs(1)).await;
    assert_eq!(runs.available_permits(), 1, "the one that waited has ended");
    agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_that_block_run_on_several_threads_even_if_those_before_were_quick() {
    let bus = Bus::connect("memory://").await.unwrap();
    let (agent, runs) = start(&bus, &broker().await).await;
    for _ in 0..10 {
        hear(&bus, "ends at once").await;
    }
    ended(&runs, 10).await;

    hear(&bus, "blocks").await;
    for _ in 0..2 {
        hear(&bus, "blocks beside another").await;
    }
    ended(&runs, 3).await;
    agent.stop().await.unwrap();
}
