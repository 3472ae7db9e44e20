//! Options from the settings, over those of the attributes.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::{
    ErrorKind,
    blueprint::{AgentType, Wiring},
    prelude::*,
};
use microagent_testing::VirtualClock;
use tokio::time::{Instant, sleep};

use super::{MAILER, UserCreated, UserDeleted};

#[derive(Default)]
struct Configured;

#[agent]
impl Configured {
    #[receiver(UserCreated, UserDeleted, timeout = 5)]
    async fn receive(&self) {}

    #[consumer(MAILER, prefetch = 20)]
    async fn send_email(&self) {}

    #[cron("@daily")]
    async fn report(&self) {}

    #[cron("@hourly", tz = "America/New_York")]
    async fn hourly(&self) {}

    #[periodic(15)]
    async fn tick(&self) {}

    #[on(server)]
    async fn http(&self, cx: &Context) {
        cx.shutdown().await;
    }
}

async fn start(handlers: Value, zone: Option<&str>) -> Result<Value> {
    let mut wiring = Wiring::named("configured");
    wiring.bus = Some(Bus::connect("memory://").await?);
    wiring.broker = Some(Broker::connect("memory://").await?);
    wiring.handlers = handlers;
    wiring.zone = zone.map(str::to_owned);
    let agent = AgentType::of::<Configured>().start(wiring).await?;
    let info = agent.info();
    agent.stop().await?;
    Ok(info)
}

#[tokio::test]
async fn they_replace_those_of_the_attributes_and_are_seen_in_the_info() {
    let handlers = json!({
        "receive": {"timeout": "2m"},
        "send_email": {"concurrency": "4", "retry": [60], "dead_letter": "none"},
        "report": {"cron": "0 5 * * mon-fri", "jitter": 30},
        "tick": {"period": 1.5},
    });
    let manifest = Configured::blueprint().manifest();
    let configured = serde_json::to_value(manifest.configured(&handlers).unwrap()).unwrap();
    let info = start(handlers.clone(), None).await.unwrap();
    for kind in ["receivers", "consumers", "periodic", "cron"] {
        assert_eq!(info[kind], configured[kind], "it is known before the start");
    }
    let info = start(handlers, Some("Europe/Berlin")).await.unwrap();
    let timeouts = [
        &info["receivers"][0]["timeout"],
        &info["receivers"][1]["timeout"],
    ];
    assert_eq!(timeouts, [&json!(120.0), &json!(120.0)]);
    assert_eq!(info["consumers"][0]["concurrency"], 4);
    assert_eq!(info["consumers"][0]["retry"], json!([60.0]));
    assert_eq!(info["consumers"][0]["dead_letter"], Value::Null);
    assert_eq!(info["cron"][0]["cron"], "0 5 * * mon-fri");
    assert_eq!(info["cron"][0]["tz"], "Europe/Berlin");
    assert_eq!(
        info["cron"][1]["tz"], "America/New_York",
        "it says so itself"
    );
    assert_eq!(info["periodic"][0]["period"], 1.5);
}

#[tokio::test]
async fn invalid_json_is_refused_at_start() {
    let keyed_by_pairs = std::collections::HashMap::from([(("tick", 2), "x")]);
    let agent = Agent::new(Configured).handlers(keyed_by_pairs);
    let error = agent.start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "the options of handlers cannot be written as JSON: key must be a string"
    );
}

#[tokio::test]
async fn options_that_do_not_fit_are_refused_at_start() {
    let cases = [
        (
            json!({"send_mail": {}}),
            "handler `send_mail`: unknown handler of Configured; did you mean `send_email`? (available: `receive`, \
             `send_email`, `tick`, `report`, `hourly`)",
        ),
        (
            json!({"http": {"timeout": 5}}),
            "handler `http`: a hook of kind `server` has no options",
        ),
        (
            json!({"tick": {"cron": "@daily"}}),
            "handler `tick`: `cron`: unknown option (available: `period`, ",
        ),
        (
            json!({"tick": {"on_undecodable": "drop"}}),
            "handler `tick`: `on_undecodable`: unknown option: the runs of a schedule have no payload",
        ),
        (
            json!({"tick": {"jitter": 20}}),
            "handler `tick`: `jitter`: a run starts up to this much later; less than the period, which is 15s, is allowed, not 20s",
        ),
        (
            json!({"send_email": {"concurrency": 40, "prefetch": 2}}),
            "handler `send_email`: `prefetch`: 2 is less than `concurrency`, which is 40",
        ),
        (
            json!({"send_email": {"concurrency": 40}}),
            "handler `send_email`: `prefetch`: 20 is less than `concurrency`, which is 40",
        ),
        (
            json!({"send_email": {"dead_letter": "mailer"}}),
            "handler `send_email`: `dead_letter`: its dead letters would go from `mailer` to `mailer`: it would take them again",
        ),
        (
            json!({"receive": {"on_error": "dead_letter"}}),
            "handler `receive`: `on_error`: only a message of a queue can become a dead letter (available: `retry`, `drop`)",
        ),
        (json!([]), "the options of handlers are a table"),
    ];
    for (handlers, expected) in cases {
        let found = Configured::blueprint().manifest().configured(&handlers);
        let error = start(handlers, None).await.unwrap_err();
        assert_eq!(error.to_string(), found.unwrap_err().to_string());
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = start(Value::Null, Some("Mars")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("handler `report`: `tz`: unknown time zone `Mars`"),
        "{error}"
    );
}

/// Fails in each way, and notes the second in which each run began.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<Vec<(&'static str, u64)>>>);

/// When an agent of the test began: the virtual clock does not start at zero.
struct Runs {
    failing: Failing,
    began: Instant,
}

impl Runs {
    fn note(&self, name: &'static str) {
        let second = self.began.elapsed().as_secs();
        self.failing.0.lock().unwrap().push((name, second));
    }
}

#[agent]
impl Runs {
    #[receiver(UserCreated)]
    async fn signal_fails(&self) -> Result<()> {
        self.note("signal_fails");
        Err("no".into())
    }

    #[receiver(UserCreated, retry(1))]
    async fn signal_hangs(&self) {
        self.note("signal_hangs");
        pending::<()>().await;
    }

    #[receiver(UserCreated, retry(1))]
    async fn signal_panics(&self) {
        self.note("signal_panics");
        panic!("no");
    }

    #[receiver(UserDeleted)]
    async fn signal_is_odd(&self, user_id: Odd) {
        unreachable!("{user_id:?}");
    }

    #[periodic(100)]
    async fn tick_fails(&self) -> Result<()> {
        self.note("tick_fails");
        Err("no".into())
    }

    #[periodic(100, retry(1))]
    async fn tick_hangs(&self) {
        self.note("tick_hangs");
        pending::<()>().await;
    }

    #[periodic(100, retry(1))]
    async fn tick_panics(&self) {
        self.note("tick_panics");
        panic!("no");
    }

    #[cron("0 * * * *")]
    async fn hour_fails(&self) -> Result<()> {
        self.note("hour_fails");
        Err("no".into())
    }

    #[cron("0 * * * *", retry(1))]
    async fn hour_hangs(&self) {
        self.note("hour_hangs");
        pending::<()>().await;
    }

    #[cron("0 * * * *", retry(1))]
    async fn hour_panics(&self) {
        self.note("hour_panics");
        panic!("no");
    }
}

/// No number is odd enough.
#[derive(Debug)]
struct Odd;

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is not odd"))
    }
}

/// In which seconds runs began under these options, and the counters.
async fn runs_of(handlers: Value) -> (impl Fn(&str) -> Vec<u64>, Value) {
    let failing = Failing::default();
    let runs = Runs {
        failing: failing.clone(),
        began: Instant::now(),
    };
    let bus = Bus::connect("memory://").await.unwrap();
    let clock = VirtualClock::at("2026-03-01T11:59:50Z").unwrap();
    let agent = Agent::new(runs).bus(bus.clone()).clock(clock);
    let agent = agent.handlers(handlers).start().await.unwrap();
    let created = UserCreated {
        user_id: 7,
        email: None,
    };
    bus.send("test", created).await.unwrap();
    bus.send("test", UserDeleted { user_id: 7 }).await.unwrap();
    sleep(Duration::from_secs(90)).await;
    let stats = agent.info()["stats"].clone();
    agent.stop().await.unwrap();
    let of = move |name: &str| {
        let runs = failing.0.lock().unwrap();
        let of = runs.iter().filter(|run| run.0 == name);
        of.map(|run| run.1).collect()
    };
    (of, stats)
}

#[tokio::test(start_paused = true)]
async fn options_decide_what_follows_failures_of_a_receiver() {
    let (runs, stats) = runs_of(json!({
        "signal_fails": {"retry": [2, 5]},
        "signal_hangs": {"timeout": 3, "on_timeout": "drop"},
        "signal_panics": {"on_panic": "drop"},
        "signal_is_odd": {"retry": [2, 5], "on_undecodable": "retry"},
    }))
    .await;
    assert_eq!(runs("signal_fails"), [0, 2, 7]);
    assert_eq!(runs("signal_hangs"), [0]);
    assert_eq!(runs("signal_panics"), [0]);
    assert_eq!(stats["signal_is_odd"]["undecodable"], 3);

    let (runs, stats) = runs_of(json!({
        "signal_fails": {"retry": [2, 5], "on_error": "drop"},
        "signal_hangs": {"timeout": 3},
        "signal_is_odd": {"retry": [2, 5]},
    }))
    .await;
    assert_eq!(runs("signal_fails"), [0]);
    assert_eq!(runs("signal_hangs"), [0, 4], "as its attribute says");
    assert_eq!(runs("signal_panics"), [0, 1], "as its attribute says");
    assert_eq!(stats["signal_is_odd"]["undecodable"], 1);
}

#[tokio::test(start_paused = true)]
async fn options_decide_what_follows_failures_of_a_periodic_task() {
    let (runs, _) = runs_of(json!({
        "tick_fails": {"retry": [2, 5]},
        "tick_hangs": {"timeout": 3, "on_timeout": "drop"},
        "tick_panics": {"on_panic": "drop"},
    }))
    .await;
    assert_eq!(runs("tick_fails"), [0, 2, 7]);
    assert_eq!(runs("tick_hangs"), [0]);
    assert_eq!(runs("tick_panics"), [0]);

    let (runs, _) = runs_of(json!({
        "tick_fails": {"retry": [2, 5], "on_error": "drop"},
        "tick_hangs": {"timeout": 3},
    }))
    .await;
    assert_eq!(runs("tick_fails"), [0]);
    assert_eq!(runs("tick_hangs"), [0, 4], "as its attribute says");
    assert_eq!(runs("tick_panics"), [0, 1], "as its attribute says");
}

#[tokio::test(start_paused = true)]
async fn options_decide_what_follows_failures_of_a_cron_task() {
    let (runs, _) = runs_of(json!({
        "hour_fails": {"retry": [2, 5]},
        "hour_hangs": {"timeout": 3, "on_timeout": "drop"},
        "hour_panics": {"on_panic": "drop"},
    }))
    .await;
    assert_eq!(runs("hour_fails"), [10, 12, 17]);
    assert_eq!(runs("hour_hangs"), [10]);
    assert_eq!(runs("hour_panics"), [10]);

    let (runs, _) = runs_of(json!({
        "hour_fails": {"retry": [2, 5], "on_error": "drop"},
        "hour_hangs": {"timeout": 3},
    }))
    .await;
    assert_eq!(runs("hour_fails"), [10]);
    assert_eq!(runs("hour_hangs"), [10, 14], "as its attribute says");
    assert_eq!(runs("hour_panics"), [10, 11], "as its attribute says");
}
