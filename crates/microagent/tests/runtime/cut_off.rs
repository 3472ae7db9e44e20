//! A subscription or a consumer that ends by itself: an agent that is cut off from its work must not live on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use microagent::{
    ErrorKind, RunningAgent,
    driver::{BusEvent, MemoryBus, SignalBus, SubscriberCount},
    prelude::*,
};
use tracing::Level;

use super::{Diary, MAILER, UserCreated, broker, bus, log::Log, pass};

const SECOND: Duration = Duration::from_secs(1);
const CUT_OFF: &str = "agent lost its bus or broker; stopping";

struct Listening {
    diary: Diary,
}

#[agent]
impl Listening {
    #[receiver(UserCreated)]
    async fn receive(&self, user_id: u64) {
        self.diary.write(format!("signal {user_id}"));
    }
}

struct Consuming;

#[agent]
impl Consuming {
    #[consumer(MAILER)]
    async fn taken(&self) {}
}

async fn listening(bus: &Bus, diary: &Diary) -> RunningAgent<Listening> {
    let diary = diary.clone();
    let agent = Agent::new(Listening { diary }).bus(bus.clone());
    agent.start().await.unwrap()
}

/// Returns the error with which the agent ended, after checking that the log has the same text.
async fn end_of<A>(agent: RunningAgent<A>, log: &Log) -> (ErrorKind, String) {
    let ended = tokio::time::timeout(SECOND, agent.stopped()).await;
    let error = ended.unwrap().unwrap_err();
    assert_eq!(
        agent.stop().await.unwrap_err().to_string(),
        error.to_string()
    );
    let logged = log.lines(CUT_OFF);
    assert_eq!(logged.len(), 1, "{log:?}");
    assert_eq!(logged[0].level, Level::ERROR);
    assert_eq!(logged[0].field("error"), error.to_string());
    (error.kind(), error.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ends_is_the_agents_failure() {
    let (log, _guard) = Log::keep();
    let bus = bus().await;
    let agent = listening(&bus, &Diary::default()).await;
    bus.driver().close().await.unwrap();
    let text = "`PUBSUB:user_created:*` is not heard any more: its subscription has ended";
    assert_eq!(
        end_of(agent, &log).await,
        (ErrorKind::Closed, text.to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_closed_under_an_agent_is_its_failure() {
    let (log, _guard) = Log::keep();
    let bus = bus().await;
    let agent = listening(&bus, &Diary::default()).await;
    bus.close().await.unwrap();
    let text = "`PUBSUB:user_created:*` is not heard any more: the bus was closed";
    assert_eq!(
        end_of(agent, &log).await,
        (ErrorKind::Closed, text.to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_is_the_agents_failure() {
    let (log, _guard) = Log::keep();
    let broker = broker().await;
    let agent = Agent::new(Consuming).broker(broker.clone());
    let agent = agent.start().await.unwrap();
    broker.driver().close().await.unwrap();
    let text = "`mailer` is not consumed any more: the stream of its messages has ended";
    assert_eq!(
        end_of(agent, &log).await,
        (ErrorKind::Closed, text.to_owned())
    );
}

/// Its first subscription ends after one message.
#[derive(Debug, Default)]
pub(crate) struct EndingOnce {
    inner: MemoryBus,
    ended: AtomicBool,
}

#[async_trait::async_trait]
impl SignalBus for EndingOnce {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<SubscriberCount> {
        self.inner.publish(channel, payload).await
    }

    async fn subscribe(&self, pattern: &str) -> Result<BoxStream<'static, BusEvent>> {
        let events = self.inner.subscribe(pattern).await?;
        if self.ended.swap(true, Ordering::Relaxed) {
            Ok(events)
        } else {
            Ok(events.take(1).boxed())
        }
    }

    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

struct Late {
    diary: Diary,
}

#[agent]
impl Late {
    #[receiver(UserCreated)]
    async fn receive(&self, user_id: u64) {
        self.diary.write(format!("late signal {user_id}"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_agent_on_that_bus_subscribes_anew() {
    let bus = Bus::new(Arc::new(EndingOnce::default()));
    let diary = Diary::default();
    let send = async |user_id| bus.send("test", UserCreated { user_id }).await.unwrap();

    let deaf = listening(&bus, &diary).await;
    send(1).await;
    deaf.stopped().await.unwrap_err();

    let late = Late {
        diary: diary.clone(),
    };
    let late = Agent::new(late).bus(bus.clone()).start().await.unwrap();
    send(2).await;
    pass(SECOND).await;
    assert_eq!(diary.read(), ["signal 1", "late signal 2"]);
    deaf.stop().await.unwrap_err();

    let hears = listening(&bus, &diary).await;
    send(3).await;
    pass(SECOND).await;
    assert_eq!(diary.len(), 4, "both hear it: {diary:?}");
    hears.stop().await.unwrap();
    late.stop().await.unwrap();
}

struct Closing;

#[agent]
impl Closing {
    #[receiver(UserCreated)]
    async fn receive(&self) {}

    #[consumer(MAILER)]
    async fn taken(&self) {}

    #[on(pre_stop)]
    async fn leave(&self, cx: &Context) -> Result<()> {
        cx.bus().close().await?;
        cx.broker().close().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_during_the_stop_is_not_a_failure() {
    let (log, _guard) = Log::keep();
    let agent = Agent::new(Closing).bus(bus().await).broker(broker().await);
    agent.start().await.unwrap().stop().await.unwrap();
    assert_eq!(log.of_level(Level::ERROR), [""; 0]);
}
