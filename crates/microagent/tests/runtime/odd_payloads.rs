//! Payloads that JSON cannot hold, that a declaration must not miss, or that are too large to be quoted or taken.

use std::{sync::Arc, time::Duration};

use microagent::{
    ErrorKind,
    declarations::Declarations,
    driver::{DEFAULT_MAX_PAYLOAD, TEXT_LIMIT},
    prelude::*,
};
use microagent_testing::BusMock;

use super::{CommentsCount, Diary, MAILER, MAILER_DEAD, UserCreated, broker, bus, log::Log, pass};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Serialize, Deserialize, Signal)]
struct Priced {
    prices: Vec<f64>,
}

const FREE: Priced = Priced { prices: Vec::new() };

fn priced() -> Priced {
    Priced {
        prices: vec![1.5, f64::NAN],
    }
}

#[tokio::test]
async fn numbers_that_json_does_not_have_are_not_sent() {
    let why = "the payload cannot be written as JSON: invalid number `NaN` in `prices[1]`: \
               expected a finite number, because JSON has no other";
    let (bus, broker) = (bus().await, broker().await);
    let named = bus.undeclared("priced").unwrap();
    let errors = [
        bus.send("test", priced()).await.unwrap_err(),
        bus.call("test", priced()).await.unwrap_err(),
        bus.waiter("test", priced()).await.unwrap_err(),
        named.send("test", &priced()).await.unwrap_err(),
        broker.send(MAILER, &priced()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidPayload);
        assert_eq!(error.to_string(), why);
    }
    assert_eq!(broker.length(MAILER).await.unwrap(), 0);
    assert!(bus.send("test", FREE).await.is_ok());
}

struct Divider;

#[agent]
impl Divider {
    #[receiver(CommentsCount)]
    async fn mean(&self, user_id: u64) -> Option<f64> {
        (user_id < 2).then(|| 0.0 / f64::from(u32::try_from(user_id).unwrap()))
    }
}

#[tokio::test]
async fn numbers_that_json_does_not_have_are_not_answered() {
    let bus = bus().await;
    let agent = Agent::new(Divider).bus(bus.clone()).start().await.unwrap();
    let ask = async |user_id| {
        let answer = bus.call("test", CommentsCount { user_id }).await.unwrap();
        answer.get::<Option<f64>>("Divider.mean")
    };
    assert_eq!(ask(1).await.unwrap(), Some(0.0));
    assert_eq!(ask(2).await.unwrap(), None, "`null` on purpose");
    let error = ask(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert!(
        error
            .to_string()
            .contains("invalid number `NaN`: expected a finite number"),
        "{error}"
    );
    assert_eq!(agent.info()["stats"]["mean"]["failed"], 1);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn numbers_that_json_does_not_have_are_no_settings() {
    let settings = json!({});
    assert!(
        Agent::new(Divider)
            .bus(bus().await)
            .settings(settings)
            .start()
            .await
            .is_ok()
    );
    let agent = Agent::new(Divider).bus(bus().await).settings(priced());
    let error = agent.start().await.map(drop).unwrap_err();
    assert!(
        error.to_string().contains("`NaN` in `prices[1]`"),
        "{error}"
    );
}

struct Listener(Diary);

#[agent]
impl Listener {
    #[receiver(UserCreated)]
    async fn created(&self, user_id: u64) {
        self.0.write(format!("{user_id}"));
    }
}

/// The text of a value that no JSON tree can hold.
fn odd_values() -> [String; 3] {
    let nested = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    ["1e400".to_owned(), r#""\ud800""#.to_owned(), nested]
}

#[tokio::test(start_paused = true)]
async fn a_strict_bus_refuses_what_cannot_be_decoded_too() {
    let file =
        r#"{"signals": [{"name": "user_created", "providing_args": {"user_id": "number"}}]}"#;
    let declared = Arc::new(Declarations::parse(file).unwrap());
    let connect = |name| {
        Bus::builder(name)
            .declarations(declared.clone())
            .strict(true)
    };
    let bus = connect("memory://odd_payloads").connect().await.unwrap();
    let diary = Diary::default();
    let agent = Agent::new(Listener(diary.clone()))
        .bus(bus.clone())
        .start()
        .await
        .unwrap();

    for odd in odd_values() {
        let body = format!(r#"{{"user_id":7,"x":{odd}}}"#);
        let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&body).unwrap();
        let sent = bus.signal("user_created").unwrap().send("test", &raw).await;
        let error = sent.unwrap_err();
        assert_eq!(
            error.to_string(),
            "signal `user_created`: argument `x` is not declared"
        );
        // A peer that checks nothing.
        let driver = bus.driver();
        driver
            .publish("PUBSUB:user_created:peer", body.into())
            .await
            .unwrap();
    }
    pass(SECOND).await;
    assert_eq!(agent.info()["stats"]["created"]["undecodable"], 3);
    assert!(diary.read().is_empty(), "{diary:?}");
    agent.stop().await.unwrap();
}

struct Shower(Diary);

#[agent]
impl Shower {
    #[receiver(UserCreated)]
    async fn created(&self, user_id: u64, rest: Kwargs) -> Result<u128> {
        self.0.write(format!("{user_id} {rest}"));
        rest.get("id")
    }
}

#[tokio::test(start_paused = true)]
async fn fields_without_a_parameter_arrive_byte_for_byte() {
    let (mock, diary) = (BusMock::new(), Diary::default());
    let agent = Agent::new(Shower(diary.clone()))
        .bus(mock.bus())
        .start()
        .await
        .unwrap();
    let rest = r#""id":18446744073709551617,"x":[1e400,"\ud800"]"#;
    let body = format!(r#"{{"user_id":7,{rest}}}"#);
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(&body).unwrap();
    let answer = mock.ask("user_created", "peer", &raw).await.unwrap();
    assert_eq!(answer.one::<u128>().unwrap(), 18_446_744_073_709_551_617);
    assert_eq!(diary.read(), [format!("7 {{{rest}}}")]);
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_is_larger_than_what_may_be_sent_is_not_decoded() {
    let (mock, diary) = (BusMock::new(), Diary::default());
    let agent = Agent::new(Listener(diary.clone()))
        .bus(mock.bus())
        .start()
        .await
        .unwrap();
    let body = |size: usize| json!({"user_id": 7, "x": "x".repeat(size - 20)});
    assert_eq!(body(1000).to_string().len(), 1000);

    let answer = mock
        .ask("user_created", "peer", body(DEFAULT_MAX_PAYLOAD + 1))
        .await
        .unwrap();
    let error = answer
        .get::<()>("Listener.created")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("16777217 bytes: at most 16777216 are received"),
        "{error}"
    );
    assert_eq!(agent.info()["stats"]["created"]["undecodable"], 1);

    mock.ask("user_created", "peer", body(DEFAULT_MAX_PAYLOAD))
        .await
        .unwrap();
    assert_eq!(diary.read(), ["7"]);
    agent.stop().await.unwrap();
}

struct Mailer;

#[agent]
impl Mailer {
    #[consumer(MAILER)]
    async fn send(&self, number: u64) -> Result<()> {
        match number {
            0 => panic!("{}", "x".repeat(1_000_000)),
            _ => Err(Error::terminal("ü".repeat(1_000_000))),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn texts_of_payloads_errors_and_panics_are_cut_in_logs_and_dead_letters() {
    let ((log, _guard), broker) = (Log::keep(), broker().await);
    let agent = Agent::new(Mailer)
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    let long = "y".repeat(1_000_000);
    for body in [
        json!({"number": long}),
        json!({"number": 1}),
        json!({ long: 1 }),
    ] {
        broker.send(MAILER, &body).await.unwrap();
    }
    broker.send(MAILER, &json!({"number": 0})).await.unwrap();
    pass(60 * SECOND).await;
    agent.stop().await.unwrap();

    assert_eq!(broker.length(MAILER_DEAD).await.unwrap(), 4);
    for dead in broker.peek(MAILER_DEAD, 10).await.unwrap() {
        let detail = dead.header(microagent::header::DEAD_DETAIL).unwrap();
        assert!(
            detail.len() <= TEXT_LIMIT && detail.contains("bytes) …"),
            "{detail}"
        );
    }
    let mut logged = 0;
    for message in [
        "payload does not fit the handler",
        "handler failed",
        "handler panicked",
        "message parked as a dead letter",
    ] {
        for line in log.lines(message) {
            logged += 1;
            assert!(
                line.fields.values().all(|value| value.len() <= TEXT_LIMIT),
                "{message}"
            );
        }
    }
    assert_eq!(logged, 2 + 1 + 4 + 4);
}

#[tokio::test(start_paused = true)]
async fn channels_without_a_sender_are_counted_and_not_each_is_logged() {
    let (log, _guard) = Log::keep();
    let bus = bus().await;
    let agent = Agent::new(Listener(Diary::default()))
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    let channel = format!("PUBSUB:user_created:{}:x", "z".repeat(100_000));
    for _ in 0..1001 {
        bus.driver().publish(&channel, "{}".into()).await.unwrap();
        pass(Duration::ZERO).await;
    }
    assert!(format!("{bus:?}").contains("strays: 1001"), "{bus:?}");
    let lines = log.lines("invalid channel of a signal: expected {prefix}:{signal}:{sender}");
    assert_eq!(lines.len(), 2, "the first and the thousand-and-first");
    assert!(lines[0].field("channel").len() <= TEXT_LIMIT);
    agent.stop().await.unwrap();
}
