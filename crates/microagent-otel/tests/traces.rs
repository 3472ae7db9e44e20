//! Traces of real agents, as a collector receives them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use microagent::prelude::*;
use microagent_otel::Traces;
use microagent_testing::{RabbitMqServer, RedisServer};
use tokio::{sync::mpsc, time::timeout};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::layer::SubscriberExt;

use self::support::{Collector, assert_child, assert_link, attribute, has_failed};

microagent_testing::needs! {
    rabbitmq {
        async fn a_trace_crosses_a_queue_on_rabbitmq,
    }
    redis {
        async fn a_message_on_redis_carries_no_context,
    }
}

const MAILER: Queue = Queue::new("mailer");
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize, Signal)]
struct UserCreated {
    user_id: u64,
}

#[derive(Serialize, Deserialize, Signal)]
struct MailSent {
    user_id: u64,
}

struct UserAgent;

#[agent]
impl UserAgent {
    #[receiver(UserCreated)]
    async fn welcome(&self, cx: &Context, user_id: u64) -> Result<()> {
        cx.broker().send(MAILER, &json!({"user_id": user_id})).await
    }
}

struct EmailAgent {
    sent: mpsc::UnboundedSender<u64>,
}

#[agent]
impl EmailAgent {
    /// Fails at its first attempt.
    #[consumer(MAILER, retry(0))]
    async fn send(&self, cx: &Context, message: &Message, user_id: u64) -> Result<()> {
        if message.attempt() == 1 {
            return Err("the mail server is busy".into());
        }
        cx.bus().send("email", MailSent { user_id }).await?;
        Ok(())
    }

    #[receiver(MailSent)]
    async fn note(&self, user_id: u64) -> Result<()> {
        self.sent
            .send(user_id)
            .map_err(|_| "the test has ended".into())
    }
}

/// Records the spans of this thread, and so of its tasks, for a collector.
fn record(collector: &Collector) -> (Traces, DefaultGuard) {
    let traces = Traces::to(&collector.url(), "shop").unwrap();
    let guard = set_default(tracing_subscriber::registry().with(traces.layer()));
    (traces, guard)
}

/// Lets a call lead to a mail that is sent at the second attempt, and returns when all has been exported.
async fn send_mail(traces: &Traces, bus: &str, broker: &str) {
    let (sent, mut done) = mpsc::unbounded_channel();
    let bus = Bus::connect(bus).await.unwrap();
    let broker = Broker::connect(broker).await.unwrap();
    let emails = Agent::new(EmailAgent { sent })
        .bus(bus.clone())
        .broker(broker.clone());
    let emails = emails.start().await.unwrap();
    let users = Agent::new(UserAgent)
        .bus(bus.clone())
        .broker(broker.clone());
    let users = users.start().await.unwrap();
    bus.call("test", UserCreated { user_id: 7 }).await.unwrap();
    assert_eq!(timeout(PATIENCE, done.recv()).await.unwrap(), Some(7));
    users.stop().await.unwrap();
    emails.stop().await.unwrap();
    broker.close().await.unwrap();
    bus.close().await.unwrap();
    traces.flush().unwrap();
}

/// The chain: a call, its receiver, the message that it sends, two runs of the consumer, and the signal that the second one publishes.
fn assert_trace(collector: &Collector, system: &str) {
    let call = collector.span("call user_created");
    let answer = collector.span("answer user_created");
    let send = collector.span("send mailer");
    assert!(call.parent_span_id.is_empty());
    assert_child(&answer, &call);
    assert_child(&send, &answer);
    assert_eq!(attribute(&send, "messaging.system"), system);
    assert_eq!(attribute(&send, "messaging.operation.type"), "send");
    assert_eq!(attribute(&send, "messaging.destination.name"), "mailer");
    assert_eq!(attribute(&send, "messaging.message.body.size"), "13");

    let runs = collector.spans("process mailer");
    let [first, second] = &*runs else {
        panic!("{runs:?}")
    };
    for (run, attempt) in [(first, "1"), (second, "2")] {
        assert_child(run, &send);
        assert_link(run, &send);
        assert_eq!(attribute(run, "messaging.system"), system);
        assert_eq!(attribute(run, "messaging.operation.type"), "process");
        assert_eq!(attribute(run, "microagent.agent"), "EmailAgent");
        assert_eq!(attribute(run, "microagent.handler"), "send");
        assert_eq!(attribute(run, "microagent.attempt"), attempt);
        assert_ne!(attribute(run, "messaging.message.id"), "");
    }
    assert!(has_failed(first) && !has_failed(second));
    assert_eq!(attribute(first, "error.type"), "failed");
    assert_eq!(
        first.status.clone().unwrap().message,
        "the mail server is busy"
    );

    let settlements = collector.spans("settle mailer");
    let [retry, ack] = &*settlements else {
        panic!("{settlements:?}")
    };
    for (settlement, run, name) in [(retry, first, "retry"), (ack, second, "ack")] {
        assert_child(settlement, run);
        assert_link(settlement, &send);
        assert_eq!(attribute(settlement, "messaging.operation.name"), name);
        assert_eq!(attribute(settlement, "messaging.operation.type"), "settle");
        assert!(run.end_time_unix_nano <= settlement.start_time_unix_nano);
        assert!(!has_failed(settlement));
    }

    let publish = collector.span("publish mail_sent");
    assert_child(&publish, second);
    let receive = collector.span("receive mail_sent");
    assert!(
        receive.parent_span_id.is_empty(),
        "no bus carries the context of a signal"
    );
}

#[tokio::test]
async fn a_trace_crosses_a_queue_on_memory() {
    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    send_mail(&traces, "memory://traces", "memory://traces").await;
    assert_trace(&collector, "memory");
    assert!(collector.services().iter().all(|service| service == "shop"));
}

#[tokio::test]
async fn a_trace_crosses_a_queue_on_local() {
    let folder = tempfile::tempdir().unwrap();
    let dsn = format!("local:{}", folder.path().join("hub").display());
    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    send_mail(&traces, &dsn, &dsn).await;
    assert_trace(&collector, "local");
}

async fn a_trace_crosses_a_queue_on_rabbitmq() {
    let server = RabbitMqServer::start().await.unwrap();
    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    send_mail(&traces, "memory://", &server.dsn()).await;
    assert_trace(&collector, "rabbitmq");
}

/// A list holds bare bodies, which Python reads too.
async fn a_message_on_redis_carries_no_context() {
    let server = RedisServer::start().await.unwrap();
    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    send_mail(&traces, "memory://", &server.dsn()).await;
    assert_child(
        &collector.span("send mailer"),
        &collector.span("answer user_created"),
    );
    let runs = collector.spans("process mailer");
    let settlements = collector.spans("settle mailer");
    assert_eq!((runs.len(), settlements.len()), (2, 2));
    for (run, settlement) in runs.iter().zip(&settlements) {
        assert!(run.parent_span_id.is_empty() && run.links.is_empty());
        assert_child(settlement, run);
    }
}

#[tokio::test]
async fn a_context_that_the_sender_has_set_stays() {
    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    let (sent, mut done) = mpsc::unbounded_channel();
    let bus = Bus::connect("memory://own").await.unwrap();
    let broker = Broker::connect("memory://own").await.unwrap();
    let agent = Agent::new(EmailAgent { sent })
        .bus(bus)
        .broker(broker.clone());
    let agent = agent.start().await.unwrap();
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let send = broker.send(MAILER, &json!({"user_id": 7}));
    send.header("traceparent", own).await.unwrap();
    assert_eq!(timeout(PATIENCE, done.recv()).await.unwrap(), Some(7));
    agent.stop().await.unwrap();
    traces.flush().unwrap();
    for run in collector.spans("process mailer") {
        assert_eq!(
            run.parent_span_id,
            [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
        );
        assert_eq!(run.links[0].trace_id[..2], [0x0a, 0xf7]);
    }
}

/// A unit of work that is not a message: the schedule's run is the root of what it sends.
#[tokio::test]
async fn a_scheduled_run_is_the_root_of_its_trace() {
    struct Ticker(mpsc::UnboundedSender<()>);

    #[agent]
    impl Ticker {
        #[periodic(period = 3600, start_after = 0)]
        async fn tick(&self, cx: &Context) -> Result<()> {
            cx.broker().send(MAILER, &json!({"user_id": 7})).await?;
            self.0.send(()).map_err(|_| "the test has ended".into())
        }
    }

    let collector = Collector::start();
    let (traces, _guard) = record(&collector);
    let (ticked, mut done) = mpsc::unbounded_channel();
    let broker = Broker::connect("memory://ticker").await.unwrap();
    let agent = Agent::new(Ticker(ticked))
        .broker(broker)
        .start()
        .await
        .unwrap();
    timeout(PATIENCE, done.recv()).await.unwrap().unwrap();
    agent.stop().await.unwrap();
    traces.flush().unwrap();
    let run = collector.span("run tick");
    assert!(run.parent_span_id.is_empty());
    assert_child(&collector.span("send mailer"), &run);
}
