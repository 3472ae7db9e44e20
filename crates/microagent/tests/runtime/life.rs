//! The life of one agent: its hooks and switches, what makes a start fail, what it knows of itself.

use std::time::Duration;

use microagent::{ErrorKind, prelude::*};

use tokio::time::sleep;

use super::{Diary, MAILER, UserCreated, broker, bus, pass};

const SECOND: Duration = Duration::from_secs(1);

struct Everything {
    diary: Diary,
    set_up: bool,
}

impl Everything {
    fn new(diary: &Diary) -> Self {
        Self {
            diary: diary.clone(),
            set_up: false,
        }
    }
}

#[agent]
impl Everything {
    #[on(pre_start)]
    async fn setup(&mut self) {
        self.set_up = true;
        self.diary.write("pre_start");
    }

    #[on(post_start)]
    async fn live(&self, cx: &Context) -> Result<()> {
        assert!(self.set_up);
        self.diary.write("post_start");
        cx.bus().send("itself", UserCreated { user_id: 1 }).await?;
        cx.broker().send(MAILER, &json!({"text": "hi"})).await
    }

    #[receiver(UserCreated)]
    async fn receive(&self, user_id: u64) {
        self.diary.write(format!("signal {user_id}"));
    }

    #[consumer(MAILER)]
    async fn taken(&self, text: String) {
        self.diary.write(format!("message {text}"));
        sleep(10 * SECOND).await;
        self.diary.write("message is done");
    }

    #[periodic(period = 3600, start_after = 1)]
    fn tick(&self) {
        self.diary.write("periodic");
    }

    #[on(server)]
    async fn serve(&self, cx: &Context) {
        self.diary.write("server");
        cx.shutdown().await;
        sleep(SECOND).await;
        self.diary.write("server ends");
    }

    #[on(pre_stop)]
    async fn leave(&self) {
        self.diary.write("pre_stop");
        sleep(2 * SECOND).await;
        self.diary.write("pre_stop is done");
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_and_handlers_run_in_the_documented_order() {
    let diary = Diary::default();
    let agent = Agent::new(Everything::new(&diary))
        .bus(bus().await)
        .broker(broker().await)
        .start()
        .await
        .unwrap();
    assert_eq!(diary.read()[..2], ["pre_start", "post_start"]);

    pass(2 * SECOND).await;
    let mut meanwhile = diary.read()[2..].to_vec();
    meanwhile.sort();
    assert_eq!(meanwhile, ["message hi", "periodic", "server", "signal 1"]);

    agent.stop().await.unwrap();
    let end = [
        "pre_stop",
        "server ends",
        "pre_stop is done",
        "message is done",
    ];
    assert_eq!(
        diary.read()[6..],
        end,
        "the message is in flight at the stop"
    );
}

#[tokio::test(start_paused = true)]
async fn each_start_switch_leaves_its_part_out() {
    let without = |which: &'static str| async move {
        let diary = Diary::default();
        let agent = Agent::new(Everything::new(&diary))
            .bus(bus().await)
            .broker(broker().await);
        let agent = match which {
            "signal 1" => agent.enable_receiving_signals(false),
            "message hi" => agent.enable_consuming_messages(false),
            "periodic" => agent.enable_periodic_tasks(false),
            _ => agent.enable_servers_running(false),
        };
        let agent = agent.start().await.unwrap();
        pass(Duration::from_secs(2)).await;
        agent.stop().await.unwrap();
        diary.read()
    };
    let parts = ["signal 1", "message hi", "periodic", "server"];
    for left_out in parts {
        let done = without(left_out).await;
        for part in parts {
            assert_eq!(
                done.iter().any(|line| line == part),
                part != left_out,
                "without {left_out}: {done:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_its_connections_is_refused() {
    let diary = Diary::default();
    let error = Agent::new(Everything::new(&diary))
        .broker(broker().await)
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.to_string(),
        "Everything has the receiver `receive` and no bus: give it one with `.bus(…)` or `bus = …` in its settings"
    );

    let error = Agent::new(Everything::new(&diary))
        .bus(bus().await)
        .start()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Everything has the consumer `taken` and no broker: give it one with `.broker(…)` or `broker = …` in its settings"
    );
    assert!(diary.read().is_empty(), "{diary:?}");
}

struct Failing;

#[agent]
impl Failing {
    #[receiver(UserCreated)]
    async fn receive(&self) {}

    #[on(post_start)]
    async fn live(&self) -> Result<()> {
        Err("no database".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_says_why_and_leaves_nothing_running() {
    let bus = bus().await;
    let error = Agent::new(Failing)
        .bus(bus.clone())
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "post_start hook `live`: no database");

    let nobody = bus
        .call("test", UserCreated { user_id: 1 })
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NoResponders);
}

struct Hanging;

#[agent]
impl Hanging {
    #[receiver(UserCreated)]
    async fn receive(&self) {}

    #[consumer(MAILER)]
    async fn taken(&self) {}

    #[on(post_start)]
    async fn live(&self) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_waits_for_any_more_leaves_nothing_running() {
    let (bus, broker) = (bus().await, broker().await);
    let start = || {
        Agent::new(Hanging)
            .bus(bus.clone())
            .broker(broker.clone())
            .start()
    };
    for _ in 0..2 {
        let patience = Duration::from_secs(5);
        let started = tokio::time::timeout(patience, start()).await;
        assert!(started.is_err(), "it hangs, and is refused by nobody");
        pass(Duration::from_secs(1)).await;
    }
    broker.send(MAILER, &json!({})).await.unwrap();
    let call = bus.call("test", UserCreated { user_id: 1 });
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NoResponders);
    assert_eq!(broker.length(MAILER).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_bus_or_broker_fails_with_a_sentence() {
    struct Lonely;

    #[agent]
    impl Lonely {
        #[on(post_start)]
        async fn live(&self, cx: &Context) -> Result<()> {
            cx.bus().send("lonely", UserCreated { user_id: 1 }).await
        }
    }

    let error = Agent::new(Lonely).start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`Lonely`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn settings_are_read_as_the_type_that_is_asked_for() {
    #[derive(Debug, Deserialize)]
    struct Wanted {
        secret: String,
    }

    struct Plain;

    #[agent]
    impl Plain {}

    let agent = Agent::new(Plain)
        .settings(json!({"secret": "x"}))
        .start()
        .await
        .unwrap();
    assert_eq!(agent.context().settings::<Wanted>().unwrap().secret, "x");
    agent.stop().await.unwrap();

    let agent = Agent::new(Plain)
        .name("front")
        .settings(json!({"secret": 7}))
        .start()
        .await
        .unwrap();
    let error = agent.context().settings::<Wanted>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error
            .to_string()
            .starts_with("invalid settings of agent `front`: "),
        "{error}"
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_no_json_are_refused() {
    struct Plain;

    #[agent]
    impl Plain {}

    let keyed_by_pairs = std::collections::HashMap::from([((1, 2), "x")]);
    let refused = Agent::new(Plain).settings(keyed_by_pairs).start().await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the settings of agent `Plain` cannot be written as JSON: key must be a string"
    );
}

#[tokio::test(start_paused = true)]
async fn info_tells_what_the_agent_is_and_did() {
    let diary = Diary::default();
    let bus = Bus::builder("memory://")
        .prefix("SHOP")
        .connect()
        .await
        .unwrap();
    let agent = Agent::new(Everything::new(&diary))
        .bus(bus)
        .broker(broker().await)
        .name("front")
        .start()
        .await
        .unwrap();
    pass(Duration::from_secs(2)).await;
    let info = agent.info();
    assert_eq!(
        (&info["name"], &info["agent"]),
        (&json!("Everything"), &json!("front"))
    );
    assert_eq!(info["bus"], "memory:// SHOP");
    assert_eq!(info["receivers"][0]["signal"], "user_created");
    assert_eq!(info["consumers"][0]["queue"], "mailer");
    assert_eq!(info["stats"]["receive"], json!({"done": 1}));
    agent.stop().await.unwrap();
}
