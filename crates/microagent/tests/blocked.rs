//! The status of an agent in real time: of one whose runtime is blocked, and of one that has run many times.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use microagent::{
    prelude::*,
    status::{AgentState, StatusSlot},
};

const MAILER: Queue = Queue::new("mailer");
const PATIENCE: Duration = Duration::from_secs(60);

struct Blocking {
    entered: Sender<()>,
    may_go: std::sync::Mutex<Receiver<()>>,
}

#[agent]
impl Blocking {
    #[consumer(MAILER)]
    async fn compute(&self) {
        self.entered.send(()).unwrap();
        self.may_go.lock().unwrap().recv().unwrap();
    }
}

#[test]
fn another_thread_learns_which_handler_blocks_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ((entered, has_entered), (go, may_go)) = (channel(), channel());
    let slot = StatusSlot::new();
    let source = slot.clone();
    let agent_thread = std::thread::spawn(move || {
        runtime.block_on(async {
            let broker = Broker::connect("memory://").await.unwrap();
            let blocking = Blocking {
                entered,
                may_go: std::sync::Mutex::new(may_go),
            };
            let agent = Agent::new(blocking)
                .broker(broker.clone())
                .status_slot(slot);
            let agent = agent.start().await.unwrap();
            broker.send(MAILER, &json!({})).await.unwrap();
            while agent.status().handlers[0].done == 0 {
                tokio::task::yield_now().await;
            }
            agent.stop().await.unwrap();
        });
    });
    has_entered.recv().unwrap();
    let source = source.get().unwrap();
    let status = source.ask(Duration::from_millis(1_200));
    assert_eq!(status.state, AgentState::Blocked);
    assert_eq!(status.blocking[0].name, "Blocking.compute");
    assert_eq!(status.since, status.blocking[0].since);
    let reason = status.reason.unwrap();
    assert!(reason.contains("Blocking.compute"), "{reason}");
    let compute = &status.handlers[0];
    assert_eq!((compute.running, compute.running_since.len()), (1, 1));

    go.send(()).unwrap();
    let status = source.ask(PATIENCE);
    assert_ne!(status.state, AgentState::Blocked);
    agent_thread.join().unwrap();
    assert_eq!(source.ask(Duration::ZERO).state, AgentState::Stopped);
}

struct Quick;

#[agent]
impl Quick {
    #[consumer(MAILER, concurrency = 8)]
    async fn handle(&self) {}
}

/// The memory that this process has in RAM, in KiB.
#[cfg(target_os = "linux")]
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap().trim().trim_end_matches("kB").trim();
    text.parse().unwrap()
}

/// `MICROAGENT_TEST_RUNS` sets the number of runs. Nobody asks for the status meanwhile.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_stays_flat_over_many_runs_that_nobody_asks_about() {
    const ROUND: u64 = 10_000;
    let runs = std::env::var("MICROAGENT_TEST_RUNS").map_or(100_000, |runs| runs.parse().unwrap());
    let broker = Broker::connect("memory://").await.unwrap();
    let agent = Agent::new(Quick).broker(broker.clone()).start().await;
    let agent = agent.unwrap();
    let empty = broker.depth(MAILER).await.unwrap();
    let round = async || {
        for _ in 0..ROUND {
            broker.send(MAILER, &json!({})).await.unwrap();
        }
        while broker.depth(MAILER).await.unwrap() != empty {
            tokio::task::yield_now().await;
        }
    };
    // The first rounds fill what is kept for later ones.
    for _ in 0..3 {
        round().await;
    }
    let before = memory();
    for _ in 0..runs / ROUND {
        round().await;
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 4 * 1024, "{runs} runs took {grown} KiB");
    agent.stop().await.unwrap();
}
