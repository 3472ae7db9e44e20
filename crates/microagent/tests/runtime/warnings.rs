//! Warnings: about signals that break their declaration, and about handlers that fail.

use std::{collections::BTreeMap, time::Duration};

use microagent::prelude::*;
use tracing::Level;

use super::{MAILER, UserCreated, broker, bus, log::Log, pass};

const SECOND: Duration = Duration::from_secs(1);
const SENT: &str = "signal sent that breaks its declaration";
const HEARD: &str = "signal received that breaks its declaration";
const MISFIT: &str = "argument `name` is not declared";

/// A field that no declaration of `user_created` has.
fn too_much() -> Value {
    json!({"user_id": 7, "name": "x"})
}

/// These fields of a line.
fn fields<const N: usize>(fields: [(&'static str, &str); N]) -> BTreeMap<&'static str, String> {
    fields.map(|(name, value)| (name, value.to_owned())).into()
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_breaks_its_declaration_is_warned_of_where_it_is_sent() {
    let (log, _guard) = Log::keep();
    let file = r#"{"signals": [{"name": "user_created", "providing_args": ["user_id"]}]}"#;
    let declared = microagent::declarations::Declarations::parse(file).unwrap();
    let bus = Bus::builder("memory://").declarations(declared);
    let bus = bus.connect().await.unwrap();
    let signal = bus.signal("user_created").unwrap();

    signal.send("test", &json!({"user_id": 7})).await.unwrap();
    assert_eq!(log.lines(SENT), []);

    signal.send("test", &too_much()).await.unwrap();
    let lines = log.lines(SENT);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].level, Level::WARN);
    let expected = fields([("signal", "user_created"), ("misfit", MISFIT)]);
    assert_eq!(lines[0].fields, expected);
}

struct Two;

#[agent]
impl Two {
    #[receiver(UserCreated)]
    async fn one(&self) {}

    #[receiver(UserCreated)]
    async fn other(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_breaks_its_declaration_is_warned_of_once_where_it_is_heard() {
    let (log, _guard) = Log::keep();
    let bus = bus().await;
    let agent = Agent::new(Two).bus(bus.clone()).start().await.unwrap();
    let signal = bus.undeclared("user_created").unwrap();

    signal.send("test", &json!({"user_id": 7})).await.unwrap();
    pass(SECOND).await;
    assert_eq!(log.lines(HEARD), []);

    signal.send("test", &too_much()).await.unwrap();
    pass(SECOND).await;
    assert_eq!(agent.info()["stats"]["one"]["done"], 2);
    assert_eq!(agent.info()["stats"]["other"]["done"], 2);
    let lines = log.lines(HEARD);
    assert_eq!(lines.len(), 1, "one of the two receivers warns");
    assert_eq!(lines[0].level, Level::WARN);
    let expected = fields([
        ("signal", "user_created"),
        ("sender", "test"),
        ("misfit", MISFIT),
    ]);
    assert_eq!(lines[0].fields, expected);
    agent.stop().await.unwrap();
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

struct Failing;

#[agent]
impl Failing {
    #[receiver(UserCreated)]
    async fn fails(&self) -> Result<()> {
        tokio::time::sleep(2 * SECOND).await;
        Err("no database".into())
    }

    #[receiver(UserCreated)]
    async fn panics(&self) {
        panic!("no reason");
    }

    #[receiver(UserCreated, timeout = 3)]
    async fn hangs(&self) {
        std::future::pending::<()>().await;
    }

    #[receiver(UserCreated)]
    async fn asks_for_more(&self, Payload(named): Payload<Named>) {
        unreachable!("{}", named.name);
    }

    #[consumer(MAILER)]
    async fn terminal(&self) -> Result<()> {
        Err(Error::terminal("no such customer"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_an_error_in_the_log_that_says_who_and_why() {
    let (log, _guard) = Log::keep();
    let bus = bus().await;
    let agent = Agent::new(Failing).name("front").bus(bus.clone());
    let agent = agent.broker(broker().await).start().await.unwrap();
    bus.send("test", UserCreated { user_id: 7 }).await.unwrap();
    pass(5 * SECOND).await;
    agent.stop().await.unwrap();
    let ends = [
        ("handler failed", "fails", ("error", "no database"), "2s"),
        ("handler panicked", "panics", ("panic", "no reason"), "0ns"),
        ("handler timed out", "hangs", ("limit", "3s"), "3s"),
    ];
    for (message, handler, why, took) in ends {
        let lines = log.lines(message);
        assert_eq!(lines.len(), 1, "{message}");
        assert_eq!(lines[0].level, Level::ERROR);
        let expected = fields([
            ("agent", "front"),
            ("handler", handler),
            ("kind", "signal"),
            ("source", "user_created"),
            ("took", took),
            why,
        ]);
        assert_eq!(lines[0].fields, expected);
    }
    let undecodable = log.lines("payload does not fit the handler");
    assert_eq!(undecodable.len(), 1);
    assert_eq!(undecodable[0].level, Level::ERROR);
    assert_eq!(undecodable[0].field("handler"), "asks_for_more");
    let expected = "the payload does not fit: missing field `name` at line 1 column 13";
    assert_eq!(undecodable[0].field("error"), expected);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_parked_is_an_error_in_the_log_that_says_where() {
    let (log, _guard) = Log::keep();
    let broker = broker().await;
    let agent = Agent::new(Failing).bus(bus().await).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    pass(SECOND).await;
    agent.stop().await.unwrap();
    let failed = log.lines("handler failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (failed[0].field("kind"), failed[0].field("source")),
        ("queue", "mailer")
    );
    assert_eq!(failed[0].field("next"), "dead letter in `mailer.dead`");
    let mut parked = log.lines("message parked as a dead letter");
    assert_eq!(parked.len(), 1);
    assert_eq!(
        parked[0].fields.remove("id").as_deref(),
        failed[0].fields.get("id").map(String::as_str)
    );
    assert_eq!(parked[0].level, Level::ERROR);
    let expected = fields([
        ("agent", "Failing"),
        ("handler", "terminal"),
        ("queue", "mailer"),
        ("dead_letter", "mailer.dead"),
        ("reason", "terminal"),
        ("detail", "no such customer"),
        ("attempt", "1"),
    ]);
    assert_eq!(parked[0].fields, expected);
}
