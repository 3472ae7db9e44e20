//! Agents that need a bus or a broker.

use std::{
    future::pending,
    sync::{Arc, LazyLock},
    time::Duration,
};

use microagent_core::{
    ArgumentDeclaration, Blueprint, ConsumerOptions, Context, Error, Fields, HandlerReply,
    JsonType, MicroAgent, Queue, ReceiverOptions, Result, Signal, SignalDeclaration,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{sync::Notify, time::sleep};

/// A question whose answer is one more; to a negative number there is none, and to zero an error.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    n: i64,
}

impl Signal for Ask {
    const NAME: &'static str = "ask";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> = LazyLock::new(|| SignalDeclaration {
            typed: true,
            arguments: vec![ArgumentDeclaration {
                name: "n".to_owned(),
                types: vec![JsonType::Number],
            }],
            name: "ask".to_owned(),
        });
        &DECLARED
    }
}

pub(crate) struct Responder;

impl MicroAgent for Responder {
    const NAME: &'static str = "Responder";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().receiver::<Ask>("answer", ReceiverOptions::default(), |_, signal| {
            let n: i64 = signal.fields.get("n")?;
            Ok(Box::pin(async move {
                match n {
                    ..0 => pending().await,
                    0 => Err("zero".into()),
                    n => HandlerReply::of(&(n + 1)),
                }
            }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

/// Works on jobs: prints each when it is done with it. A job with `refuse` is refused for good with
/// this reason, one with `fail` fails with it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    /// The time that each message takes, in seconds.
    pause: f64,
    /// It sends a message when it stops.
    farewell: bool,
    /// When it has begun a message: `hang` or `fail` in its start.
    start: String,
    #[serde(skip)]
    began: Notify,
}

impl MicroAgent for Worker {
    const NAME: &'static str = "Worker";

    fn blueprint() -> Blueprint<Self> {
        let jobs = Queue::new("jobs");
        Blueprint::new()
            .consumer(
                "work",
                jobs,
                ConsumerOptions::default(),
                |agent: &Arc<Self>, taken| {
                    let text = String::from_utf8_lossy(taken.message.payload()).into_owned();
                    let fields = Fields::of(taken.message.payload())?;
                    let refuse: Option<String> = fields.get_optional("refuse")?;
                    let fail: Option<String> = fields.get_optional("fail")?;
                    let pause = Duration::from_secs_f64(agent.pause);
                    if taken.message.crashes() > 0 {
                        println!("suspect {text}");
                    }
                    agent.began.notify_one();
                    Ok(Box::pin(async move {
                        println!("began {text}");
                        sleep(pause).await;
                        match (refuse, fail) {
                            (Some(reason), _) => return Err(Error::terminal(reason)),
                            (_, Some(reason)) => return Err(reason.into()),
                            (None, None) => println!("job {text}"),
                        }
                        Ok(())
                    }))
                },
            )
            .post_start("begin", |agent: &Arc<Self>, _| {
                let agent = Arc::clone(agent);
                Box::pin(async move { agent.begin().await })
            })
            .pre_stop("say_farewell", |agent: &Arc<Self>, cx| {
                let (agent, cx) = (Arc::clone(agent), cx.clone());
                Box::pin(async move { agent.say_farewell(&cx).await })
            })
    }

    async fn create(cx: &Context) -> Result<Self> {
        cx.settings()
    }
}

impl Worker {
    async fn begin(&self) -> Result<()> {
        if !self.start.is_empty() {
            self.began.notified().await;
        }
        match self.start.as_str() {
            "hang" => pending().await,
            "fail" => Err("no database".into()),
            _ => Ok(()),
        }
    }

    async fn say_farewell(&self, cx: &Context) -> Result<()> {
        if self.farewell {
            let from = json!({ "from": cx.name() });
            cx.broker().send(Queue::new("farewells"), &from).await?;
        }
        Ok(())
    }
}
