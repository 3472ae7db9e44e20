//! The payload as one value: as a DTO, and as the listed signal itself.

use microagent::prelude::*;

use super::{MAILER, Seen, UserCreated, UserDeleted, settle, start};

mod elsewhere {
    use microagent::prelude::*;

    #[derive(Clone, Debug, Serialize, Deserialize, Signal)]
    pub(super) struct Renamed {
        pub(super) name: String,
    }
}

use elsewhere::Renamed;

#[derive(Debug, Deserialize)]
struct Person {
    user_id: u64,
}

#[derive(Default)]
struct Listener {
    seen: Seen,
}

#[agent]
impl Listener {
    #[receiver(UserCreated)]
    async fn itself(&self, user: UserCreated, sender: Sender) {
        self.seen.note(format!(
            "itself: {} {:?} from {sender}",
            user.user_id, user.email
        ));
    }

    #[receiver(UserCreated)]
    async fn itself_and_a_field(&self, user_id: u64, UserCreated { email, .. }: UserCreated) {
        self.seen
            .note(format!("itself_and_a_field: {user_id} {email:?}"));
    }

    #[receiver(UserCreated, UserDeleted)]
    async fn dto(&self, Payload(person): Payload<Person>, rest: Kwargs) {
        self.seen
            .note(format!("dto: {} beside {rest}", person.user_id));
    }

    #[receiver(elsewhere::Renamed)]
    async fn imported(&self, renamed: Renamed) {
        self.seen.note(format!("imported: {}", renamed.name));
    }

    #[consumer(MAILER)]
    async fn mail(&self, Payload(person): Payload<Person>, user_id: u64, whole: Kwargs) {
        self.seen
            .note(format!("mail: {} {user_id} beside {whole}", person.user_id));
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_takes_the_signal_itself_or_a_dto_beside_fields() {
    let (agent, bus, _) = start(Listener::default()).await;
    bus.send(
        "web",
        UserCreated {
            user_id: 7,
            email: None,
        },
    )
    .await
    .unwrap();
    bus.send(
        "web",
        Renamed {
            name: "x".to_owned(),
        },
    )
    .await
    .unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        [
            r#"dto: 7 beside {"user_id":7,"email":null}"#,
            "imported: x",
            "itself: 7 None from web",
            "itself_and_a_field: 7 None",
        ]
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_takes_a_dto_beside_fields() {
    let (agent, _, broker) = start(Listener::default()).await;
    broker
        .send(MAILER, &json!({"user_id": 3, "text": "hi"}))
        .await
        .unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        [r#"mail: 3 3 beside {"text":"hi"}"#]
    );
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn undeclared_fields_reach_kwargs_and_harm_no_signal() {
    let (agent, bus, _) = start(Listener::default()).await;
    let payload = r#"{"user_id":1,"more":true}"#;
    bus.driver()
        .publish("PUBSUB:user_deleted:web", payload.into())
        .await
        .unwrap();
    settle().await;
    assert_eq!(
        agent.agent().seen.sorted(),
        [r#"dto: 1 beside {"user_id":1,"more":true}"#]
    );
    agent.stop().await.unwrap();
}
