//! An agent whose handle nobody waits for: it stops by itself, with its drain and its `pre_stop`, whatever ends it.

use std::{sync::Arc, time::Duration};

use microagent::{ErrorKind, RunningAgent, prelude::*};
use tokio::sync::Notify;

use super::{CommentsCount, Diary, MAILER, UserCreated, broker, bus, cut_off::EndingOnce, pass};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

struct Working {
    diary: Diary,
    end: fn() -> Result<()>,
    ends: Arc<Notify>,
}

#[agent]
impl Working {
    #[receiver(UserCreated)]
    async fn created(&self) {}

    #[receiver(CommentsCount)]
    async fn count(&self) -> u64 {
        7
    }

    #[consumer(MAILER)]
    async fn mail(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.diary.write("message is handled");
    }

    #[periodic(period = 1, start_after = 1)]
    fn tick(&self) {
        self.diary.write("tick");
    }

    #[on(server)]
    async fn serve(&self) -> Result<()> {
        self.ends.notified().await;
        (self.end)()
    }

    #[on(pre_stop)]
    async fn leave(&self, cx: &Context) -> Result<()> {
        self.diary.write("pre_stop");
        cx.broker().send(Queue::new("goodbyes"), &json!({})).await
    }
}

/// An agent with a message in flight, and all that surrounds it.
struct Scene {
    bus: Bus,
    broker: Broker,
    diary: Diary,
    ends: Arc<Notify>,
}

impl Scene {
    async fn start(bus: Bus, end: fn() -> Result<()>) -> (Self, RunningAgent<Working>) {
        let scene = Self {
            bus,
            broker: broker().await,
            diary: Diary::default(),
            ends: Arc::default(),
        };
        let working = Working {
            diary: scene.diary.clone(),
            end,
            ends: Arc::clone(&scene.ends),
        };
        let agent = Agent::new(working)
            .bus(scene.bus.clone())
            .broker(scene.broker.clone())
            .start()
            .await
            .unwrap();
        let message = json!({"seconds": 5});
        scene.broker.send(MAILER, &message).await.unwrap();
        pass(SECOND).await;
        let call = scene.bus.call("test", CommentsCount { user_id: 1 });
        assert_eq!(call.await.unwrap().one::<u64>().unwrap(), 7);
        (scene, agent)
    }

    /// Lets a minute pass after the agent's end, and checks that it has drained and no longer does anything.
    async fn assert_drained(&self) {
        pass(MINUTE).await;
        let done = self.diary.read();
        let count = |what| done.iter().filter(|line| *line == what).count();
        assert_eq!(count("message is handled"), 1, "{done:?}");
        assert_eq!(count("pre_stop"), 1, "{done:?}");
        assert!(count("tick") <= 2, "it ticks on: {done:?}");
    }

    async fn assert_takes_nothing(&self) {
        self.assert_drained().await;
        let call = self.bus.call("test", CommentsCount { user_id: 1 });
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NoResponders);
        let message = json!({"seconds": 0});
        self.broker.send(MAILER, &message).await.unwrap();
        pass(SECOND).await;
        assert_eq!(self.broker.length(MAILER).await.unwrap(), 1);
        let goodbyes = self.broker.length(Queue::new("goodbyes")).await;
        assert_eq!(goodbyes.unwrap(), 1, "`pre_stop` has its broker");
    }
}

#[tokio::test(start_paused = true)]
async fn line_73_a_server_that_fails_stops_the_agent() {
    let (scene, agent) = Scene::start(bus().await, || Err("port is taken".into())).await;
    scene.ends.notify_one();
    scene.assert_takes_nothing().await;
    let error = agent.stopped().await.unwrap_err();
    assert_eq!(error.to_string(), "server hook `serve`: port is taken");
}

#[tokio::test(start_paused = true)]
async fn line_73_a_server_that_panics_stops_the_agent() {
    let (scene, agent) = Scene::start(bus().await, || panic!("no socket")).await;
    scene.ends.notify_one();
    scene.assert_takes_nothing().await;
    assert_eq!(agent.stopped().await.unwrap_err().kind(), ErrorKind::Panic);
}

#[tokio::test(start_paused = true)]
async fn line_73_a_server_that_interrupts_stops_the_agent() {
    let (scene, agent) = Scene::start(bus().await, || Err(ServerInterrupt.into())).await;
    scene.ends.notify_one();
    scene.assert_takes_nothing().await;
    agent.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn line_73_a_subscription_that_ends_stops_the_agent() {
    let bus = Bus::new(Arc::new(EndingOnce::default()));
    let (scene, agent) = Scene::start(bus, || Ok(())).await;
    let created = UserCreated { user_id: 1 };
    scene.bus.send("test", created).await.unwrap();
    scene.assert_takes_nothing().await;
    assert_eq!(agent.stopped().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn line_73_a_consumer_that_ends_stops_the_agent() {
    let (scene, agent) = Scene::start(bus().await, || Ok(())).await;
    scene.broker.driver().close().await.unwrap();
    scene.assert_drained().await;
    let call = scene.bus.call("test", CommentsCount { user_id: 1 });
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NoResponders);
    assert_eq!(agent.stopped().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_returns_ends_only_itself() {
    let (scene, agent) = Scene::start(bus().await, || Ok(())).await;
    scene.ends.notify_one();
    pass(MINUTE).await;
    let call = scene.bus.call("test", CommentsCount { user_id: 1 });
    assert_eq!(call.await.unwrap().one::<u64>().unwrap(), 7);
    agent.stop().await.unwrap();
    assert_eq!(scene.diary.read().last().unwrap(), "pre_stop");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_cuts_off_a_stop_that_is_under_way() {
    let (scene, agent) = Scene::start(bus().await, || Err(ServerInterrupt.into())).await;
    scene.ends.notify_one();
    pass(SECOND).await;
    assert!(scene.diary.read().iter().any(|line| line == "pre_stop"));
    drop(agent);
    pass(MINUTE).await;
    assert!(
        !scene
            .diary
            .read()
            .iter()
            .any(|line| line == "message is handled")
    );
    assert_eq!(scene.broker.length(MAILER).await.unwrap(), 1);
    let call = scene.bus.call("test", CommentsCount { user_id: 1 });
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NoResponders);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_ends_the_agent_without_a_drain() {
    let (scene, agent) = Scene::start(bus().await, || Ok(())).await;
    drop(agent);
    pass(MINUTE).await;
    let done = scene.diary.read();
    assert!(!done.iter().any(|line| line == "pre_stop"), "{done:?}");
    assert_eq!(scene.broker.length(MAILER).await.unwrap(), 1);
    let call = scene.bus.call("test", CommentsCount { user_id: 1 });
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::NoResponders);
}

struct Starting;

#[agent]
impl Starting {
    #[consumer(MAILER)]
    async fn mail(&self) {}

    #[on(post_start)]
    async fn live(&self, cx: &Context) -> Result<()> {
        cx.broker().driver().close().await?;
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_loses_its_queue_while_it_starts_does_not_start() {
    let start = Agent::new(Starting).broker(broker().await).start();
    let started = tokio::time::timeout(MINUTE, start).await;
    assert_eq!(started.unwrap().unwrap_err().kind(), ErrorKind::Closed);
}
