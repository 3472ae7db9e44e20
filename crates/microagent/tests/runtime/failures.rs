//! The reaction to a failure, for each kind of handler and each kind of failure.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use microagent::{
    Clock, ErrorKind,
    blueprint::{Blueprint, OnFailure, PeriodicOptions},
    driver::{ConsumeOptions, MemoryBroker},
    header,
    prelude::*,
};
use microagent_testing::VirtualClock;
use tokio::time::{Instant, sleep};

use super::{Diary, UserCreated, broker, bus, pass};

const SECOND: Duration = Duration::from_secs(1);

const BY_DEFAULT: Queue = Queue::new("by_default");
const PARKED: Queue = Queue::new("parked");
const DROPPED: Queue = Queue::new("dropped");
const RETRIED: Queue = Queue::new("retried");

/// Fails as the message says, and counts its runs.
#[derive(Default)]
struct Failing {
    runs: Mutex<HashMap<String, u32>>,
}

impl Failing {
    async fn fail(&self, queue: &str, how: &str) -> Result<()> {
        let run = format!("{queue} {how}");
        *self.runs.lock().unwrap().entry(run).or_default() += 1;
        match how {
            "error" => Err("no".into()),
            "timeout" => std::future::pending().await,
            "panic" => panic!("no"),
            _ => Ok(()),
        }
    }
}

#[agent]
impl Failing {
    #[consumer(BY_DEFAULT, timeout = 1)]
    async fn by_default(&self, how: String) -> Result<()> {
        self.fail("by_default", &how).await
    }

    #[consumer(
        PARKED,
        timeout = 1,
        on_error = dead_letter,
        on_timeout = dead_letter,
        on_panic = dead_letter
    )]
    async fn parked(&self, how: String) -> Result<()> {
        self.fail("parked", &how).await
    }

    #[consumer(
        DROPPED,
        timeout = 1,
        on_error = drop,
        on_timeout = drop,
        on_panic = drop,
        on_undecodable = drop
    )]
    async fn dropped(&self, how: String) -> Result<()> {
        self.fail("dropped", &how).await
    }

    #[consumer(RETRIED, timeout = 1, retry(1), on_undecodable = retry)]
    async fn retried(&self, how: String) -> Result<()> {
        self.fail("retried", &how).await
    }
}

/// The runs of each kind of failure and how many of the four are dead letters in the end.
async fn of_queue(queue: &Queue) -> (HashMap<String, u32>, u64, Value) {
    let broker = broker().await;
    let agent = Agent::new(Failing::default()).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    for how in ["error", "timeout", "panic"] {
        broker.send(queue, &json!({"how": how})).await.unwrap();
    }
    broker.send(queue, &json!({"how": 7})).await.unwrap();
    pass(60 * SECOND).await;
    let dead = Queue::named(format!("{}.dead", queue.name())).unwrap();
    assert_eq!(broker.length(queue).await.unwrap(), 0);
    let runs = agent.agent().runs.lock().unwrap().drain().collect();
    let stats = agent.info()["stats"][queue.name()].clone();
    let parked = broker.length(&dead).await.unwrap();
    agent.stop().await.unwrap();
    (runs, parked, stats)
}

fn runs_of(queue: &str, runs: u32) -> HashMap<String, u32> {
    ["error", "timeout", "panic"]
        .map(|how| (format!("{queue} {how}"), runs))
        .into()
}

#[tokio::test(start_paused = true)]
async fn messages_are_tried_four_times_and_parked_by_default() {
    let (runs, parked, stats) = of_queue(&BY_DEFAULT).await;
    assert_eq!((runs, parked), (runs_of("by_default", 4), 4));
    assert_eq!(stats["undecodable"], 1, "which is parked at once");
}

#[tokio::test(start_paused = true)]
async fn messages_are_parked_at_once_where_the_attribute_says_so() {
    let (runs, parked, _) = of_queue(&PARKED).await;
    assert_eq!((runs, parked), (runs_of("parked", 1), 4));
}

#[tokio::test(start_paused = true)]
async fn messages_are_dropped_where_the_attribute_says_so() {
    let (runs, parked, stats) = of_queue(&DROPPED).await;
    assert_eq!((runs, parked), (runs_of("dropped", 1), 0));
    assert_eq!(stats["undecodable"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_message_is_retried_if_the_attribute_says_so() {
    let (runs, parked, stats) = of_queue(&RETRIED).await;
    assert_eq!((runs, parked), (runs_of("retried", 2), 4));
    assert_eq!(stats["undecodable"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_why_how_often_and_when_first_and_last() {
    let clock = VirtualClock::at("2026-03-01T11:59:50Z").unwrap();
    let began = clock.now();
    let broker = Broker::new(Arc::new(MemoryBroker::new().clock(clock)));
    let agent = Agent::new(Failing::default()).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    let job = json!({"how": "error"});
    sleep(5 * SECOND).await;
    broker.send(BY_DEFAULT, &job).await.unwrap();
    pass(60 * SECOND).await;
    agent.stop().await.unwrap();
    let dead = Queue::named("by_default.dead").unwrap();
    let options = ConsumeOptions::default();
    let mut letters = broker.driver().consume(&dead, options).await.unwrap();
    let letter = letters.next().await.unwrap();
    let says = |name| letter.message().header(name).unwrap_or_default();
    assert_eq!(says(header::DEAD_REASON), "failed");
    assert_eq!(says(header::DEAD_DETAIL), "no");
    assert_eq!(says(header::DEAD_ATTEMPTS), "4");
    assert_eq!(says(header::DEAD_QUEUE), "by_default");
    let time = |name| SystemTime::UNIX_EPOCH + Duration::from_millis(says(name).parse().unwrap());
    assert_eq!(time(header::DEAD_FIRST_AT), began + 5 * SECOND);
    let pauses = (1 + 4 + 9) * SECOND;
    assert_eq!(time(header::DEAD_AT), began + 5 * SECOND + pauses);
    letter.ack().await.unwrap();
}

/// Writes down when each run began, and fails all but the third.
struct Stubborn {
    diary: Diary,
    began: Instant,
    runs: Mutex<HashMap<&'static str, u32>>,
}

impl Stubborn {
    fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            began: Instant::now(),
            runs: Mutex::default(),
        }
    }

    fn run(&self, name: &'static str) -> u32 {
        let at = self.began.elapsed().as_secs();
        self.diary.write(format!("{name} {at}"));
        let mut runs = self.runs.lock().unwrap();
        let run = runs.entry(name).or_default();
        *run += 1;
        *run
    }
}

#[agent]
impl Stubborn {
    #[periodic(100, retry(2, 5), overlap = skip)]
    async fn fails(&self) -> Result<()> {
        match self.run("fails") {
            3 => Ok(()),
            _ => Err("no".into()),
        }
    }

    #[periodic(100, timeout = 3, retry(2, 5), on_timeout = drop)]
    async fn hangs(&self) {
        self.run("hangs");
        std::future::pending::<()>().await;
    }

    #[periodic(100, retry(2, 5))]
    fn panics(&self) {
        self.run("panics");
        panic!("no");
    }

    #[periodic(100, retry(2, 5))]
    fn gives_up(&self) -> Result<()> {
        self.run("gives_up");
        Err(Error::terminal("no"))
    }

    #[periodic(100, retry(2))]
    fn waits(&self) -> Result<()> {
        self.run("waits");
        Err("busy").retry_after(30 * SECOND)
    }

    #[periodic(100)]
    fn once(&self) -> Result<()> {
        self.run("once");
        Err("no".into())
    }

    #[cron("0 * * * *", retry(1, 1))]
    fn hourly(&self) -> Result<()> {
        self.run("hourly");
        Err("no".into())
    }
}

#[tokio::test(start_paused = true)]
async fn schedules_run_again_by_their_retries() {
    let diary = Diary::default();
    let clock = VirtualClock::at("2026-03-01T11:59:50Z").unwrap();
    let agent = Agent::new(Stubborn::new(&diary)).clock(clock);
    let agent = agent.start().await.unwrap();
    sleep(99 * SECOND).await;
    agent.stop().await.unwrap();
    let of = |name: &str| -> Vec<u64> {
        let lines = diary.read();
        let of = lines.iter().filter_map(|line| line.strip_prefix(name));
        of.map(|at| at.trim().parse().unwrap()).collect()
    };
    assert_eq!(of("fails "), [0, 2, 7], "the third run succeeds");
    assert_eq!(of("hangs "), [0], "a timeout is not tried again here");
    assert_eq!(of("panics "), [0, 2, 7]);
    assert_eq!(of("gives_up "), [0], "it says so itself");
    assert_eq!(of("waits "), [0, 30], "it says when itself");
    assert_eq!(of("once "), [0]);
    assert_eq!(of("hourly "), [10, 11, 12]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_a_retry() {
    let diary = Diary::default();
    let agent = Agent::new(Stubborn::new(&diary)).start().await.unwrap();
    sleep(SECOND).await;
    let asked = Instant::now();
    agent.stop().await.unwrap();
    // A handler that hangs has its timeout of 3 s; nothing waits for its retry.
    assert!(asked.elapsed() <= 2 * SECOND, "{:?}", asked.elapsed());
    assert!(diary.read().iter().all(|line| line.ends_with(" 0")));
}

struct Answering {
    diary: Diary,
}

#[agent]
impl Answering {
    #[receiver(UserCreated, retry(1, 4))]
    async fn third_time_lucky(&self, sender: Sender, user_id: u64) -> Result<u64> {
        self.diary.write(format!("{sender} {user_id}"));
        match self.diary.len() {
            1 => Err("no".into()),
            2 => panic!("no"),
            _ => Ok(user_id),
        }
    }

    #[receiver(UserCreated)]
    async fn fails(&self) -> Result<u64> {
        Err("no".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_runs_again_by_its_retries_and_then_answers() {
    let (bus, diary) = (bus().await, Diary::default());
    let answering = Answering {
        diary: diary.clone(),
    };
    let agent = Agent::new(answering).bus(bus.clone());
    let agent = agent.start().await.unwrap();
    let began = Instant::now();
    let answer = bus.call("shell", UserCreated { user_id: 7 }).await.unwrap();
    assert_eq!(answer.get::<u64>("Answering.third_time_lucky").unwrap(), 7);
    let error = answer.get::<u64>("Answering.fails").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(diary.read(), ["shell 7", "shell 7", "shell 7"]);
    let stats = &agent.info()["stats"]["third_time_lucky"];
    assert_eq!(stats, &json!({"done": 1, "failed": 1, "panicked": 1}));
    agent.stop().await.unwrap();
}

struct Wrong;

impl MicroAgent for Wrong {
    const NAME: &'static str = "Wrong";

    fn blueprint() -> Blueprint<Self> {
        let options = PeriodicOptions::every(SECOND).on_error(OnFailure::DeadLetter);
        Blueprint::new().periodic("tick", options, |_: &std::sync::Arc<Self>, _: &Context| {
            Box::pin(async { Ok(()) })
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

#[tokio::test]
async fn a_dead_letter_of_what_is_no_message_is_refused_at_start() {
    let error = Agent::new(Wrong).start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "handler `tick`: `on_error`: only a message of a queue can become a dead letter (available: `retry`, `drop`)"
    );
}
