//! Creating an agent of which only the type is known, and `#[cfg]` on handlers.

use microagent::{
    ErrorKind,
    blueprint::{AgentType, Wiring},
    prelude::*,
};

use super::{MAILER, Seen, UserCreated, settle, start};

#[derive(Deserialize)]
struct Settings {
    greeting: String,
}

struct Created {
    greeting: String,
}

#[agent]
impl Created {
    #[on(create)]
    async fn new(cx: &Context) -> Result<Self> {
        let Settings { greeting } = cx.settings()?;
        Ok(Self { greeting })
    }
}

#[tokio::test(start_paused = true)]
async fn create_builds_the_agent_from_its_context() {
    let agent = Agent::<Created>::create().settings(json!({"greeting": "hi"}));
    let agent = agent.start().await.unwrap();
    assert_eq!(agent.agent().greeting, "hi");
    agent.stop().await.unwrap();

    let error = Agent::<Created>::create().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.to_string().starts_with("creating Created: "),
        "{error}"
    );
}

struct CreatedAtOnce(u8);

#[agent]
impl CreatedAtOnce {
    #[on(create)]
    fn new() -> Self {
        Self(7)
    }
}

#[tokio::test(start_paused = true)]
async fn create_may_be_sync_and_return_the_agent_itself() {
    let agent = Agent::<CreatedAtOnce>::create().start().await.unwrap();
    assert_eq!(agent.agent().0, 7);
    agent.stop().await.unwrap();
}

#[derive(Default)]
struct WithDefault {
    started: bool,
}

#[agent]
impl WithDefault {
    #[on(pre_start)]
    async fn setup(&mut self) {
        self.started = true;
    }
}

struct WithNeither;

#[agent]
impl WithNeither {}

#[tokio::test(start_paused = true)]
async fn without_create_an_agent_is_its_default_or_must_be_given() {
    let agent = Agent::<WithDefault>::create().start().await.unwrap();
    assert!(agent.agent().started);
    agent.stop().await.unwrap();

    let error = AgentType::of::<WithNeither>()
        .start(Wiring::named("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(
        text.contains("`WithNeither` has neither `#[on(create)]` nor `Default`"),
        "{text}"
    );
    Agent::new(WithNeither)
        .start()
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[derive(Default)]
struct Conditional {
    seen: Seen,
    built: &'static str,
}

#[agent]
impl Conditional {
    #[cfg(not(unix))]
    #[on(create)]
    fn never(_cx: &Context) -> NoSuchType {}

    #[cfg(unix)]
    #[on(create)]
    fn always(_cx: &Context) -> Self {
        Self {
            built: "by create",
            ..Self::default()
        }
    }

    #[cfg(not(unix))]
    #[receiver(NoSuchSignal)]
    async fn receive_never(&self) {}

    #[receiver(UserCreated)]
    #[cfg(unix)]
    async fn receive(&self) {
        self.seen.note("receive");
    }

    #[cfg(not(unix))]
    #[consumer(MAILER)]
    async fn taken_never(&self) {}

    #[cfg(unix)]
    #[consumer(MAILER)]
    async fn taken(&self) {
        self.seen.note("taken");
    }

    #[cfg(not(unix))]
    #[periodic(1)]
    async fn ticks_never(&self) {}

    #[cfg(not(unix))]
    #[on(post_start)]
    async fn live_never(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_configured_out_is_not_there() {
    let agent = Agent::<Conditional>::create();
    let bus = Bus::connect("memory://").await.unwrap();
    let broker = Broker::connect("memory://").await.unwrap();
    let agent = agent
        .bus(bus.clone())
        .broker(broker.clone())
        .start()
        .await
        .unwrap();
    assert_eq!(agent.agent().built, "by create");

    bus.send(
        "web",
        UserCreated {
            user_id: 1,
            email: None,
        },
    )
    .await
    .unwrap();
    broker.send(MAILER, &json!({})).await.unwrap();
    settle().await;
    assert_eq!(agent.agent().seen.sorted(), ["receive", "taken"]);
    let manifest = Conditional::blueprint().manifest();
    assert_eq!((manifest.receivers.len(), manifest.consumers.len()), (1, 1));
    assert!(manifest.periodic.is_empty() && manifest.hooks.is_empty());
    agent.stop().await.unwrap();
}

#[derive(Default)]
struct NotCreated;

#[agent]
impl NotCreated {
    #[cfg(not(unix))]
    #[on(create)]
    fn never(_cx: &Context) -> Self {}
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_configured_out_leaves_the_default() {
    Agent::<NotCreated>::create()
        .start()
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_methods_stay_ordinary_methods() {
    struct Plain;

    #[agent]
    impl Plain {
        const FACTOR: u64 = 2;

        #[receiver(UserCreated)]
        async fn doubled(&self, user_id: u64) -> u64 {
            user_id * Self::FACTOR
        }

        fn untouched(&self) -> &'static str {
            "as it stands"
        }
    }

    assert_eq!(Plain.doubled(4).await, 8);
    assert_eq!(Plain.untouched(), "as it stands");
    let (agent, bus, _) = start(Plain).await;
    let answer = bus
        .call(
            "test",
            UserCreated {
                user_id: 4,
                email: None,
            },
        )
        .await
        .unwrap();
    assert_eq!(answer.one::<u64>().unwrap(), 8);
    agent.stop().await.unwrap();
}
