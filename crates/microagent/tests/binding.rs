//! The values of parameters and the effects of return values: the rules of the guide's page about handlers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use microagent::prelude::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Signal)]
struct UserCreated {
    user_id: u64,
    r#type: Option<String>,
}

const MAILER: Queue = Queue::new("mailer");
const PUSHER: Queue = Queue::new("pusher");

#[derive(Debug, Deserialize)]
struct Mail {
    text: String,
}

#[derive(Debug)]
struct OwnError;

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error of one's own")
    }
}

impl std::error::Error for OwnError {}

type Alias<T> = std::result::Result<T, OwnError>;

#[derive(Serialize)]
struct Summary {
    id: u64,
}

#[derive(Default)]
struct Answering;

#[agent]
impl Answering {
    #[receiver(UserCreated)]
    async fn everything(
        &self,
        cx: &Context,
        sender: Sender,
        signal: SignalName,
        user_id: u64,
        r#type: Option<String>,
        rest: Kwargs,
    ) -> String {
        format!("{} {sender} {signal} {user_id} {type:?} {rest}", cx.name(), type = r#type)
    }

    #[receiver(UserCreated)]
    fn the_signal_itself(&self, user: UserCreated) -> bool {
        user == UserCreated {
            user_id: 7,
            r#type: None,
        }
    }

    #[receiver(UserCreated)]
    async fn the_payload_and_a_field(&self, Payload(all): Payload<Value>, user_id: u64) -> Value {
        json!([all, user_id])
    }

    #[receiver(UserCreated)]
    async fn a_keyword(&self, r#type: Option<String>) -> Option<String> {
        r#type
    }

    #[receiver(UserCreated)]
    fn a_value(&self, user_id: u64) -> Summary {
        Summary { id: user_id }
    }

    #[receiver(UserCreated)]
    fn nothing(&self) {}

    #[receiver(UserCreated)]
    async fn a_result(&self) -> Result<Vec<u8>> {
        Ok(vec![1])
    }

    #[receiver(UserCreated)]
    async fn an_alias(&self) -> Alias<u8> {
        Err(OwnError)
    }

    #[receiver(UserCreated)]
    async fn text_as_error(&self) -> std::result::Result<(), String> {
        Err("no".to_owned())
    }

    #[cfg(any())]
    #[receiver(NoSuchSignal)]
    async fn left_out(&self) {}
}

#[tokio::test(start_paused = true)]
async fn receivers_get_and_answer_by_the_rules() {
    let bus = Bus::connect("memory://").await.unwrap();
    let agent = Agent::<Answering>::create()
        .bus(bus.clone())
        .start()
        .await
        .unwrap();
    let signal = bus.undeclared("user_created").unwrap();
    let answer = signal
        .call("web", &json!({"user_id": 7, "more": 1}))
        .await
        .unwrap();
    agent.stop().await.unwrap();

    let of = |receiver: &str| answer.get::<Value>(&format!("Answering.{receiver}"));
    assert_eq!(
        of("everything").unwrap(),
        r#"Answering web user_created 7 None {"more":1}"#
    );
    assert_eq!(of("the_signal_itself").unwrap(), true);
    assert_eq!(
        of("the_payload_and_a_field").unwrap(),
        json!([{"user_id": 7, "more": 1}, 7])
    );
    assert_eq!(of("a_keyword").unwrap(), Value::Null);
    assert_eq!(of("a_value").unwrap(), json!({"id": 7}));
    assert_eq!(of("nothing").unwrap(), Value::Null);
    assert_eq!(of("a_result").unwrap(), json!([1]));
    assert_eq!(
        of("an_alias").unwrap_err().to_string(),
        "`Answering.an_alias` failed: an error of one's own"
    );
    assert_eq!(
        of("text_as_error").unwrap_err().to_string(),
        "`Answering.text_as_error` failed: no"
    );
    assert_eq!(answer.receivers().count(), 9, "{answer}");
}

#[derive(Default)]
struct Taking {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Taking {
    fn note(&self, what: String) {
        self.seen.lock().unwrap().push(what);
    }
}

#[agent]
impl Taking {
    #[consumer(MAILER, timeout = "1m", retry(0.5))]
    async fn everything(
        &self,
        cx: &Context,
        message: &Message,
        Payload(mail): Payload<Mail>,
        cc: Option<String>,
        rest: Kwargs,
    ) -> Alias<()> {
        self.note(format!(
            "{} {} {} {cc:?} {rest}",
            cx.name(),
            message.attempt(),
            mail.text
        ));
        Err(OwnError)
    }

    #[consumer(PUSHER, autoack = false)]
    fn by_hand(&self, delivery: Delivery, user_id: u64) {
        self.note(format!("by hand {user_id}"));
        tokio::spawn(delivery.ack());
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_get_by_the_rules() {
    let broker = Broker::connect("memory://").await.unwrap();
    let taking = Taking::default();
    let seen = Arc::clone(&taking.seen);
    let agent = Agent::new(taking)
        .broker(broker.clone())
        .name("taker")
        .start()
        .await
        .unwrap();
    broker
        .send(MAILER, &json!({"text": "hi", "more": 1}))
        .await
        .unwrap();
    broker.send(PUSHER, &json!({"user_id": 7})).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    agent.stop().await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let mail = |attempt| format!(r#"taker {attempt} hi None {{"text":"hi","more":1}}"#);
    assert_eq!(seen, [mail(1), "by hand 7".to_owned(), mail(2)]);
}

struct Created {
    secret: String,
}

#[agent]
impl Created {
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        #[derive(Deserialize)]
        struct Settings {
            secret: String,
        }
        let Settings { secret } = cx.settings()?;
        Ok(Self { secret })
    }

    #[on(pre_start)]
    fn setup(&mut self) {
        self.secret.push('!');
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_created_by_its_hook_with_its_settings() {
    let agent = Agent::<Created>::create()
        .settings(json!({"secret": "x"}))
        .start()
        .await
        .unwrap();
    assert_eq!(agent.agent().secret, "x!");
    agent.stop().await.unwrap();

    let error = Agent::<Created>::create().start().await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("creating Created: invalid settings of agent `Created`"),
        "{error}"
    );
}

struct Unbuildable(u8);

#[agent]
impl Unbuildable {
    #[on(post_start)]
    fn live(&self) {
        assert_eq!(self.0, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_hook_and_default_is_only_started_as_a_value() {
    Agent::new(Unbuildable(1))
        .start()
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    let error = Agent::<Unbuildable>::create().start().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("neither `#[on(create)]` nor `Default`"),
        "{error}"
    );
}

#[tokio::test]
async fn handlers_are_ordinary_methods() {
    let agent = Answering;
    assert_eq!(agent.a_value(3).id, 3);
    assert_eq!(
        agent.a_keyword(Some("x".to_owned())).await.as_deref(),
        Some("x")
    );
}
