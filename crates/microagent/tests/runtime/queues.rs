//! The settlements of a message: acknowledged, retried, dead-lettered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use microagent::{
    ErrorKind,
    driver::{ConsumeOptions, MemoryBroker, MemoryOptions, QueueBroker},
    header,
    prelude::*,
};
use tokio::time::Instant;

use super::{Diary, MAILER, MAILER_DEAD, broker, pass};

/// The dead letters that are there: reason, detail, attempts and body.
pub(super) async fn dead_letters(broker: &Broker) -> Vec<(String, String, String, String)> {
    let waiting = broker.length(MAILER_DEAD).await.unwrap();
    let mut parked = broker
        .driver()
        .consume(&MAILER_DEAD, ConsumeOptions::default())
        .await
        .unwrap();
    let mut found = Vec::new();
    for _ in 0..waiting {
        let delivery = parked.next().await.unwrap();
        let message = delivery.message().clone();
        let header = |name| message.header(name).unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(message.payload()).into_owned();
        let (reason, detail) = (header(header::DEAD_REASON), header(header::DEAD_DETAIL));
        found.push((reason, detail, header(header::DEAD_ATTEMPTS), body));
        delivery.ack().await.unwrap();
    }
    found
}

/// Does with each message what the message says.
struct Obedient {
    diary: Diary,
    began: Instant,
}

impl Obedient {
    fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            began: Instant::now(),
        }
    }
}

#[agent]
impl Obedient {
    #[consumer(MAILER, timeout = 2)]
    async fn taken(&self, message: &Message, order: String) -> Result<()> {
        self.diary.write(format!(
            "{order} {} at {}s",
            message.attempt(),
            self.began.elapsed().as_secs()
        ));
        match order.as_str() {
            "fail" => Err("smtp said no".into()),
            "terminal" => Err(Error::terminal("unknown customer")),
            "later" if message.attempt() == 1 => {
                Err(Error::from("busy")).retry_after(Duration::from_secs(60))
            }
            "hang" => std::future::pending().await,
            "panic" => panic!("no such template"),
            _ => Ok(()),
        }
    }
}

async fn obey(orders: &[&str], time: Duration) -> (Vec<String>, Broker) {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(Obedient::new(&diary))
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    for order in orders {
        broker.send(MAILER, &json!({"order": order})).await.unwrap();
    }
    pass(time).await;
    agent.stop().await.unwrap();
    (diary.read(), broker)
}

#[tokio::test(start_paused = true)]
async fn ok_acknowledges() {
    let (done, broker) = obey(&["deliver"], Duration::from_secs(1)).await;
    assert_eq!(done, ["deliver 1 at 0s"]);
    assert_eq!(broker.length(MAILER).await.unwrap(), 0);
    assert!(dead_letters(&broker).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_retried_after_1_4_and_9_seconds_and_then_parked() {
    let real = std::time::Instant::now();
    let (done, broker) = obey(&["fail"], Duration::from_secs(20)).await;
    assert_eq!(
        done,
        [
            "fail 1 at 0s",
            "fail 2 at 1s",
            "fail 3 at 5s",
            "fail 4 at 14s"
        ]
    );
    let parked = ["failed", "smtp said no", "4", r#"{"order":"fail"}"#].map(str::to_owned);
    assert_eq!(dead_letters(&broker).await, [parked.into()]);
    assert!(
        real.elapsed() < Duration::from_secs(10),
        "the time was virtual"
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminal_error_is_parked_at_once_and_retry_after_is_heeded() {
    let (done, broker) = obey(&["terminal", "later"], Duration::from_secs(61)).await;
    assert_eq!(
        done,
        ["terminal 1 at 0s", "later 1 at 0s", "later 2 at 60s"]
    );
    let parked = dead_letters(&broker).await;
    assert_eq!(
        (parked.len(), parked[0].0.as_str(), parked[0].1.as_str()),
        (1, "terminal", "unknown customer")
    );
}

#[tokio::test(start_paused = true)]
async fn timeouts_and_panics_count_as_failures_and_harm_no_neighbour() {
    let (done, broker) = obey(&["hang", "panic", "deliver"], Duration::from_secs(40)).await;
    assert_eq!(
        done.iter().filter(|line| line.starts_with("hang")).count(),
        4
    );
    assert_eq!(
        done.iter().filter(|line| line.starts_with("panic")).count(),
        4
    );
    assert!(done.contains(&"deliver 1 at 0s".to_owned()));
    let mut parked = dead_letters(&broker).await;
    parked.sort();
    let reasons: Vec<_> = parked
        .iter()
        .map(|(reason, detail, ..)| (reason.as_str(), detail.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("panic", "panicked: no such template"),
            ("timeout", "timed out after 2s")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_undecodable_message_becomes_a_dead_letter_that_names_the_argument() {
    let (diary, broker) = (Diary::default(), broker().await);
    let agent = Agent::new(Obedient::new(&diary))
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    let raw = |body: &'static str| {
        let driver = broker.clone();
        async move {
            driver
                .driver()
                .send(&MAILER.into(), body.into(), Default::default())
                .await
                .unwrap();
        }
    };
    raw("[1,2]").await;
    raw("{\"order\":7}").await;
    raw("{\"ordre\":\"x\"}").await;
    pass(Duration::from_secs(1)).await;
    agent.stop().await.unwrap();

    let parked = dead_letters(&broker).await;
    assert!(
        parked
            .iter()
            .all(|(reason, _, attempts, _)| reason == "undecodable" && attempts == "1")
    );
    let bodies: Vec<_> = parked.iter().map(|(_, _, _, body)| body.as_str()).collect();
    assert_eq!(bodies, ["[1,2]", "{\"order\":7}", "{\"ordre\":\"x\"}"]);
    assert!(parked[1].1.contains("`order`"), "{}", parked[1].1);
    assert!(
        parked[2].1.contains("`order` is missing"),
        "{}",
        parked[2].1
    );
    assert!(diary.read().is_empty());
}

struct Counting {
    running: AtomicUsize,
    most: AtomicUsize,
    done: AtomicU64,
}

#[agent]
impl Counting {
    #[consumer(MAILER, concurrency = 3)]
    async fn taken(&self) {
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(running, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_concurrency_handlers_run_and_prefetch_messages_are_out() {
    let broker = broker().await;
    for _ in 0..30 {
        broker.send(MAILER, &json!({})).await.unwrap();
    }
    let counting = Counting {
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        done: AtomicU64::new(0),
    };
    let agent = Agent::new(counting)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        broker.length(MAILER).await.unwrap(),
        24,
        "twice the concurrency is out of the queue"
    );

    pass(Duration::from_secs(10)).await;
    assert_eq!(agent.agent().done.load(Ordering::Relaxed), 30);
    assert_eq!(agent.agent().most.load(Ordering::Relaxed), 3);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_its_consumers_is_parked_and_its_bystanders_are_not() {
    let options = MemoryOptions::parse("memory://killer").unwrap();
    let broker = Broker::new(Arc::new(MemoryBroker::open(&options)));
    for order in ["killer", "bystander"] {
        broker.send(MAILER, &json!({"order": order})).await.unwrap();
    }
    for _ in 0..3 {
        let dying = MemoryBroker::open(&options);
        let mut taken = QueueBroker::consume(&dying, &MAILER, ConsumeOptions::default())
            .await
            .unwrap();
        // A process that dies of the killer, whatever else it has in flight.
        while !String::from_utf8_lossy(taken.next().await.unwrap().message().payload())
            .contains("killer")
        {}
        dying.crash();
    }

    let diary = Diary::default();
    let agent = Agent::new(Obedient::new(&diary))
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    pass(Duration::from_secs(1)).await;
    agent.stop().await.unwrap();

    assert_eq!(diary.read(), ["bystander 1 at 0s"]);
    let parked = dead_letters(&broker).await;
    assert_eq!((parked.len(), parked[0].0.as_str()), (1, "crash"));
    assert_eq!(parked[0].1, "its consumer died 3 times while handling it");
}

struct Careless;

#[agent]
impl Careless {
    #[consumer(MAILER, retry(), dead_letter = "none")]
    async fn taken(&self) -> Result<()> {
        Err("never mind".into())
    }
}

#[tokio::test(start_paused = true)]
async fn without_dead_letters_a_failed_message_is_dropped() {
    let broker = broker().await;
    let agent = Agent::new(Careless)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(
        agent.info()["stats"]["taken"],
        json!({"done": 0, "failed": 1})
    );
    agent.stop().await.unwrap();
    assert_eq!(broker.length(MAILER).await.unwrap(), 0);
    assert!(dead_letters(&broker).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_consumer_per_queue_and_broker_handle() {
    let broker = broker().await;
    let first = Agent::new(Careless)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    let second = Agent::new(Obedient::new(&Diary::default())).broker(broker.clone());
    let error = second.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error
            .to_string()
            .contains("consumer `taken` of Obedient: queue `mailer` has a consumer on this broker handle already"),
        "{error}"
    );

    // The refused one did not take the queue away from the first.
    let again = Agent::new(Obedient::new(&Diary::default())).broker(broker.clone());
    assert!(again.start().await.is_err());

    first.stop().await.unwrap();
    let third = Agent::new(Obedient::new(&Diary::default()))
        .broker(broker)
        .start()
        .await
        .unwrap();
    third.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn dead_letters_that_nobody_could_find_are_refused_at_the_start() {
    struct Circling;

    #[agent]
    impl Circling {
        #[consumer(MAILER, dead_letter = "mailer")]
        async fn taken(&self) {}
    }

    struct DeadLetterReader;

    #[agent]
    impl DeadLetterReader {
        #[consumer(MAILER_DEAD)]
        async fn taken(&self) {}
    }

    let errors = [
        Agent::new(Circling)
            .broker(broker().await)
            .start()
            .await
            .map(drop),
        Agent::new(DeadLetterReader)
            .broker(broker().await)
            .start()
            .await
            .map(drop),
    ];
    let texts = errors.map(|error| error.unwrap_err().to_string());
    let circle = "handler `taken`: `dead_letter`: its dead letters would go from `mailer` to `mailer`: it would take them again";
    assert!(texts[0].starts_with(circle), "{}", texts[0]);
    let nameless = "handler `taken`: `dead_letter`: its dead letters would go from `mailer.dead` to `mailer.dead.dead`: ";
    assert!(texts[1].starts_with(nameless), "{}", texts[1]);
    assert!(
        texts[1].ends_with("`dead_letter` names another queue, or is `none`"),
        "{}",
        texts[1]
    );
}

#[tokio::test]
async fn a_queue_without_a_proper_name_is_refused_for_that() {
    const NAMELESS: Queue = Queue::new("Name Less");
    struct Astray;

    #[agent]
    impl Astray {
        #[consumer(NAMELESS)]
        async fn taken(&self) {}
    }

    let agent = Agent::new(Astray).broker(broker().await);
    let error = agent.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
}
