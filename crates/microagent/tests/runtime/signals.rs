//! Receivers: which signals reach them, which do not, and the warnings about payloads that break their declaration.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use microagent::{
    ErrorKind,
    declarations::Declarations,
    driver::{BusEvent, MemoryBus, SignalBus, SubscriberCount},
    prelude::*,
};

use super::{Diary, UserCreated, bus, pass};

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct UserUpdated {
    user_id: u64,
    email: Option<String>,
}

struct Listener {
    diary: Diary,
}

#[agent]
impl Listener {
    #[receiver(UserCreated, UserUpdated)]
    async fn either(&self, signal: SignalName, sender: Sender, user_id: u64) {
        self.diary
            .write(format!("{signal} {user_id} from {sender}"));
    }

    #[receiver(UserUpdated)]
    fn whole(&self, update: UserUpdated) {
        self.diary.write(format!("email {:?}", update.email));
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_reaches_every_receiver_of_it() {
    let (diary, bus) = (Diary::default(), bus().await);
    let agent = Agent::new(Listener {
        diary: diary.clone(),
    })
    .bus(bus.clone())
    .start()
    .await
    .unwrap();
    bus.send("web", UserCreated { user_id: 7 }).await.unwrap();
    pass(Duration::ZERO).await;
    bus.send(
        "shell",
        UserUpdated {
            user_id: 8,
            email: None,
        },
    )
    .await
    .unwrap();
    pass(Duration::ZERO).await;
    agent.stop().await.unwrap();

    let mut signals = diary.read();
    signals[1..].sort();
    assert_eq!(
        signals,
        [
            "user_created 7 from web",
            "email None",
            "user_updated 8 from shell"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_foreign_prefix_is_not_received() {
    let diary = Diary::default();
    let connect = |prefix| Bus::builder("memory://prefixes").prefix(prefix).connect();
    let (ours, theirs) = (
        connect("OURS").await.unwrap(),
        connect("THEIRS").await.unwrap(),
    );
    let agent = Agent::new(Listener {
        diary: diary.clone(),
    })
    .bus(ours)
    .start()
    .await
    .unwrap();
    theirs
        .send("web", UserCreated { user_id: 7 })
        .await
        .unwrap();
    pass(Duration::from_secs(1)).await;
    agent.stop().await.unwrap();
    assert!(diary.read().is_empty(), "{diary:?}");
}

const DECLARED: &str = r#"{
    "version": 2,
    "signals": [{"name": "user_created", "providing_args": {"user_id": "number"}}],
    "queues": [{"name": "mailer"}]
}"#;

#[tokio::test(start_paused = true)]
async fn signals_are_looked_up_by_name_and_checked() {
    let declared = Arc::new(Declarations::parse(DECLARED).unwrap());
    let bus = |strict| {
        Bus::builder("memory://by_name")
            .declarations(declared.clone())
            .strict(strict)
            .connect()
    };
    let (lenient, strict) = (bus(false).await.unwrap(), bus(true).await.unwrap());
    let diary = Diary::default();
    let agent = Agent::new(Listener {
        diary: diary.clone(),
    })
    .bus(lenient.clone())
    .start()
    .await
    .unwrap();

    lenient
        .signal("user_created")
        .unwrap()
        .send("web", &json!({"user_id": 1, "more": true}))
        .await
        .unwrap();
    let error = strict
        .signal("user_created")
        .unwrap()
        .send("web", &json!({"user_id": "1"}))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPayload);
    let text = "signal `user_created`: argument `user_id` must be a number, but is a string";
    assert_eq!(error.to_string(), text);

    let error = strict.signal("user_creatd").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignalNotFound);
    assert!(
        error
            .to_string()
            .contains("did you mean `user_created`? (available: `user_created`)"),
        "{error}"
    );

    pass(Duration::from_secs(1)).await;
    agent.stop().await.unwrap();
    assert_eq!(diary.read(), ["user_created 1 from web"]);
}

#[tokio::test(start_paused = true)]
async fn a_strict_bus_refuses_what_it_hears_as_well() {
    let connect = |strict| Bus::builder("memory://strict").strict(strict).connect();
    let (lenient, strict) = (connect(false).await.unwrap(), connect(true).await.unwrap());
    let diary = Diary::default();
    let agent = Agent::new(Listener {
        diary: diary.clone(),
    })
    .bus(strict)
    .start()
    .await
    .unwrap();
    let signal = lenient.undeclared("user_created").unwrap();
    signal
        .send("web", &json!({"user_id": 1, "more": true}))
        .await
        .unwrap();
    signal.send("web", &json!({"user_id": 2})).await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(
        agent.info()["stats"]["either"],
        json!({"done": 1, "undecodable": 1})
    );
    agent.stop().await.unwrap();
    assert_eq!(diary.read(), ["user_created 2 from web"]);
}

#[tokio::test(start_paused = true)]
async fn broken_payloads_and_senders_are_counted_and_everything_else_goes_on() {
    let (diary, bus) = (Diary::default(), bus().await);
    let agent = Agent::new(Listener {
        diary: diary.clone(),
    })
    .bus(bus.clone())
    .start()
    .await
    .unwrap();
    let driver = bus.driver();
    driver
        .publish("PUBSUB:user_created:web", "[1,2]".into())
        .await
        .unwrap();
    driver
        .publish(
            "PUBSUB:user_created:web",
            b"{\"user_id\":\xff}".as_slice().into(),
        )
        .await
        .unwrap();
    driver
        .publish("PUBSUB:user_created:a:b", "{\"user_id\":1}".into())
        .await
        .unwrap();
    bus.send("web", UserCreated { user_id: 7 }).await.unwrap();
    pass(Duration::from_secs(1)).await;

    assert_eq!(diary.read(), ["user_created 7 from web"]);
    assert_eq!(
        agent.info()["stats"]["either"],
        json!({"done": 1, "undecodable": 2})
    );
    assert!(format!("{bus:?}").contains("strays: 1"), "{bus:?}");
    agent.stop().await.unwrap();

    let error = bus
        .send("a:b", UserCreated { user_id: 1 })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
}

struct Overrun {
    diary: Diary,
}

#[agent]
impl Overrun {
    #[receiver(UserCreated, concurrency = 1, buffer = 2)]
    async fn slow(&self, user_id: u64) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.diary.write(user_id.to_string());
    }

    #[receiver(UserCreated)]
    async fn fast(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_loses_the_oldest_signals_and_its_neighbour_none() {
    let (diary, bus) = (Diary::default(), bus().await);
    let agent = Agent::new(Overrun {
        diary: diary.clone(),
    })
    .bus(bus.clone())
    .start()
    .await
    .unwrap();
    for user_id in 1..=6 {
        bus.send("web", UserCreated { user_id }).await.unwrap();
    }
    pass(Duration::from_secs(10)).await;
    assert_eq!(diary.read(), ["1", "5", "6"]);
    assert_eq!(
        agent.info()["stats"]["slow"],
        json!({"done": 3, "dropped": 3})
    );
    assert_eq!(agent.info()["stats"]["fast"], json!({"done": 6}));
    agent.stop().await.unwrap();
}

struct Troubled;

#[agent]
impl Troubled {
    #[receiver(UserCreated, timeout = 1)]
    async fn hangs(&self) {
        std::future::pending::<()>().await;
    }

    #[receiver(UserCreated)]
    async fn panics(&self) {
        panic!("oh");
    }

    #[receiver(UserCreated)]
    async fn fails(&self) -> Result<(), String> {
        Err("no".to_owned())
    }

    #[receiver(UserCreated)]
    async fn works(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_receiver_in_trouble_harms_no_other() {
    let bus = bus().await;
    let agent = Agent::new(Troubled).bus(bus.clone()).start().await.unwrap();
    for _ in 0..2 {
        bus.send("web", UserCreated { user_id: 1 }).await.unwrap();
    }
    pass(Duration::from_secs(2)).await;
    let stats = &agent.info()["stats"];
    assert_eq!(stats["hangs"]["timed_out"], 2);
    assert_eq!(stats["panics"]["panicked"], 2);
    assert_eq!(stats["fails"]["failed"], 2);
    assert_eq!(stats["works"], json!({"done": 2}));
    agent.stop().await.unwrap();
}

/// A bus whose connection is lost once.
#[derive(Debug)]
struct Faltering(MemoryBus);

#[async_trait::async_trait]
impl SignalBus for Faltering {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.0.publish(channel, payload).await
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        let lost = BusEvent::Lost("connection reset".to_owned());
        let back = async {
            let lasted = Duration::from_secs(3);
            tokio::time::sleep(lasted).await;
            BusEvent::Gap(Gap {
                lasted,
                reason: "connection reset".to_owned(),
            })
        };
        let outage = stream::iter([lost]).chain(stream::once(back));
        Ok(outage.chain(self.0.subscribe(pattern).await?).boxed())
    }

    async fn ready(&self) -> Result<()> {
        self.0.ready().await
    }

    fn address(&self) -> String {
        "faltering".to_owned()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

struct Careful {
    diary: Diary,
}

#[agent]
impl Careful {
    #[receiver(UserCreated)]
    async fn one(&self) {}

    #[receiver(UserUpdated)]
    async fn other(&self) {}

    #[on(gap)]
    async fn deaf(&self, cx: &Context, gap: &Gap) {
        self.diary.write(format!(
            "{} was deaf for {:?}: {}",
            cx.name(),
            gap.lasted,
            gap.reason
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_told_of_a_gap_once_whatever_it_listens_to() {
    let diary = Diary::default();
    let bus = Bus::new(Arc::new(Faltering(MemoryBus::new())));
    let agent = Agent::new(Careful {
        diary: diary.clone(),
    })
    .bus(bus)
    .start()
    .await
    .unwrap();
    pass(Duration::from_secs(4)).await;
    assert_eq!(diary.read(), ["Careful was deaf for 3s: connection reset"]);
    assert_eq!(agent.info()["stats"]["gaps"], 1);
    agent.stop().await.unwrap();
}
