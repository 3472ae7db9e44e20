//! The value of each kind of parameter, as text.

use std::collections::BTreeMap;

use microagent::prelude::*;

use super::{MAILER, Seen, UserCreated, UserDeleted, settle, start};

#[derive(Default)]
struct Listener {
    seen: Seen,
}

#[agent]
impl Listener {
    #[receiver(UserCreated, UserDeleted)]
    async fn either(&self, signal: SignalName, sender: Sender, user_id: u64) {
        self.seen
            .note(format!("either: {signal} {sender} {user_id}"));
    }

    #[receiver(UserCreated)]
    fn optional(&self, email: Option<String>) {
        self.seen.note(format!("optional: {email:?}"));
    }

    #[receiver(UserCreated)]
    async fn rest(&self, user_id: u64, rest: Kwargs) {
        self.seen.note(format!("rest: {user_id} and {rest}"));
    }

    #[receiver(UserCreated)]
    async fn everything(&self, all: Kwargs, cx: &Context) {
        self.seen
            .note(format!("everything: {all} for {}", cx.name()));
    }

    #[receiver(UserCreated)]
    async fn nothing(&self) {
        self.seen.note("nothing");
    }

    #[receiver(UserCreated)]
    async fn by_path(
        &self,
        cx: &microagent::Context,
        sender: microagent::Sender,
        email: std::option::Option<String>,
    ) {
        self.seen
            .note(format!("by_path: {} {sender} {email:?}", cx.name()));
    }

    #[receiver(UserCreated)]
    async fn changeable(&self, mut user_id: u64) {
        user_id += 1;
        self.seen.note(format!("changeable: {user_id}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_gets_fields_context_sender_name_and_the_rest() {
    let (agent, bus, _) = start(Listener::default()).await;
    let created = UserCreated {
        user_id: 7,
        email: Some("a@b.c".to_owned()),
    };
    bus.send("web", created).await.unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        [
            "by_path: Listener web Some(\"a@b.c\")",
            "changeable: 8",
            "either: user_created web 7",
            r#"everything: {"user_id":7,"email":"a@b.c"} for Listener"#,
            "nothing",
            "optional: Some(\"a@b.c\")",
            r#"rest: 7 and {"email":"a@b.c"}"#,
        ]
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_receiver_of_several_signals_takes_the_field_that_all_of_them_have() {
    let (agent, bus, _) = start(Listener::default()).await;
    bus.send("shell", UserDeleted { user_id: 8 }).await.unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        ["either: user_deleted shell 8"]
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_option_may_be_null_or_absent_and_nothing_else_may() {
    for payload in [r#"{"user_id":7,"email":null}"#, r#"{"user_id":7}"#] {
        let (agent, bus, _) = start(Listener::default()).await;
        bus.driver()
            .publish("PUBSUB:user_created:web", payload.into())
            .await
            .unwrap();
        settle().await;
        assert!(
            agent
                .agent()
                .seen
                .sorted()
                .contains(&"optional: None".to_owned()),
            "{payload}"
        );
        agent.stop().await.unwrap();
    }

    let (agent, bus, _) = start(Listener::default()).await;
    bus.driver()
        .publish("PUBSUB:user_created:web", "{}".into())
        .await
        .unwrap();
    settle().await;
    let stats = &agent.info()["stats"];
    assert_eq!(stats["rest"]["undecodable"], 1);
    assert_eq!(stats["optional"], json!({"done": 1}));
    agent.stop().await.unwrap();
}

/// The agent's own types may have any name that is not a parameter's.
#[derive(Debug, Deserialize)]
struct Answer {
    lines: Vec<String>,
}

#[derive(Default)]
struct Post {
    seen: Seen,
}

#[agent]
impl Post {
    #[consumer(MAILER)]
    async fn taken(
        &self,
        message: &Message,
        to: String,
        r#type: Option<u8>,
        answer: Answer,
        counts: BTreeMap<String, u64>,
        rest: Kwargs,
    ) {
        let attempt = message.attempt();
        let lines = answer.lines.len();
        self.seen
            .note(format!("{attempt} {to} {type:?} {lines} {counts:?} {rest}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_gets_fields_message_and_the_rest() {
    let (agent, _, broker) = start(Post::default()).await;
    let mail = json!({"to": "a@b.c", "type": 3, "answer": {"lines": ["x", "y"]}, "counts": {"z": 1}, "more": [1.5]});
    broker.send(MAILER, &mail).await.unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        [r#"1 a@b.c Some(3) 2 {"z": 1} {"more":[1.5]}"#]
    );
    agent.stop().await.unwrap();
}

#[derive(Default)]
struct ByHand {
    seen: Seen,
}

#[agent]
impl ByHand {
    #[consumer(MAILER, autoack = false)]
    async fn taken(&self, delivery: Delivery, message: &Message, order: String) -> Result<()> {
        self.seen.note(format!("{order} {}", message.attempt()));
        delivery.ack().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_settled_by_hand_and_an_undecodable_one_is_not_lost() {
    let (agent, _, broker) = start(ByHand::default()).await;
    broker.send(MAILER, &json!({"order": "ack"})).await.unwrap();
    broker.send(MAILER, &json!({"odrer": "ack"})).await.unwrap();
    settle().await;
    assert_eq!(agent.agent().seen.sorted(), ["ack 1"]);
    assert_eq!(
        broker
            .length(Queue::named("mailer.dead").unwrap())
            .await
            .unwrap(),
        1
    );
    agent.stop().await.unwrap();
}
