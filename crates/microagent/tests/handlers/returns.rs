//! The return types of handlers: nothing, a value, a `Result` of either, and aliases of all of them.

use std::{error, fmt};

use microagent::{ErrorKind, prelude::*};

use super::{MAILER, Seen, UserCreated, settle, start};

#[derive(Serialize)]
struct Count {
    comments: u64,
}

/// An error of the user's own.
#[derive(Debug)]
struct NoDatabase;

impl fmt::Display for NoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no database")
    }
}

impl error::Error for NoDatabase {}

type Fallible<T> = std::result::Result<T, NoDatabase>;
type Alias = u64;

struct Answering;

#[agent]
impl Answering {
    #[receiver(UserCreated)]
    async fn unit(&self) {}

    #[receiver(UserCreated)]
    fn sync_value(&self) -> u64 {
        1
    }

    #[receiver(UserCreated)]
    async fn alias(&self) -> Alias {
        2
    }

    #[receiver(UserCreated)]
    async fn structure(&self) -> Count {
        Count { comments: 3 }
    }

    #[receiver(UserCreated)]
    async fn none(&self) -> Option<String> {
        None
    }

    #[receiver(UserCreated)]
    async fn borrowed(&self) -> &'static str {
        "text"
    }

    #[receiver(UserCreated)]
    async fn ok_unit(&self) -> Result<()> {
        Ok(())
    }

    #[receiver(UserCreated)]
    async fn ok_value(&self) -> Result<Vec<u8>> {
        Ok(vec![4, 5])
    }

    #[receiver(UserCreated)]
    fn other_result(&self) -> Fallible<f64> {
        Ok(1.5)
    }

    #[receiver(UserCreated)]
    async fn own_error(&self) -> Fallible<u64> {
        Err(NoDatabase)
    }

    #[receiver(UserCreated)]
    async fn text_error(&self) -> Result<(), String> {
        Err("no mail server".to_owned())
    }

    #[receiver(UserCreated)]
    async fn boxed_error(&self) -> Result<u8, Box<dyn error::Error + Send + Sync>> {
        Err("boxed".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_receivers_value_is_the_answer_and_its_error_is_reported() {
    let (agent, bus, _) = start(Answering).await;
    let answer = bus
        .call(
            "test",
            UserCreated {
                user_id: 1,
                email: None,
            },
        )
        .await
        .unwrap();
    let value = |handler: &str| answer.get::<Value>(&format!("Answering.{handler}"));
    for (handler, expected) in [
        ("unit", json!(null)),
        ("sync_value", json!(1)),
        ("alias", json!(2)),
        ("structure", json!({"comments": 3})),
        ("none", json!(null)),
        ("borrowed", json!("text")),
        ("ok_unit", json!(null)),
        ("ok_value", json!([4, 5])),
        ("other_result", json!(1.5)),
    ] {
        assert_eq!(value(handler).unwrap(), expected, "{handler}");
    }
    for (handler, expected) in [
        ("own_error", "`Answering.own_error` failed: no database"),
        (
            "text_error",
            "`Answering.text_error` failed: no mail server",
        ),
        ("boxed_error", "`Answering.boxed_error` failed: boxed"),
    ] {
        let error = value(handler).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Remote, expected)
        );
    }
    agent.stop().await.unwrap();
}

#[derive(Default)]
struct Post {
    seen: Seen,
}

const PUSHER: Queue = Queue::new("pusher");
const PRINTER: Queue = Queue::new("printer");

#[agent]
impl Post {
    #[consumer(MAILER)]
    fn unit(&self) {
        self.seen.note("unit");
    }

    #[consumer(PUSHER, retry(1))]
    async fn fails(&self, message: &Message) -> Fallible<()> {
        self.seen.note(format!("fails {}", message.attempt()));
        Err(NoDatabase)
    }

    #[consumer(PRINTER)]
    async fn terminal(&self) -> Result<()> {
        self.seen.note("terminal");
        Err::<(), _>(NoDatabase).terminal()
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumers_error_means_retry_and_a_terminal_one_does_not() {
    let (agent, _, broker) = start(Post::default()).await;
    for queue in [MAILER, PUSHER, PRINTER] {
        broker.send(queue, &json!({})).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        ["fails 1", "fails 2", "terminal", "unit"]
    );
    for (queue, dead) in [("mailer.dead", 0), ("pusher.dead", 1), ("printer.dead", 1)] {
        assert_eq!(
            broker.length(Queue::named(queue).unwrap()).await.unwrap(),
            dead,
            "{queue}"
        );
    }
    agent.stop().await.unwrap();
}
