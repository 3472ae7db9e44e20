//! The Rust side: an agent with the same handlers as the Python one.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use microagent_core::{
    Blueprint, ConsumerOptions, Context, Declarations, HandlerFuture, HandlerReply, MessageInput,
    MicroAgent, Queue, ReceiverOptions, Result, RetryPolicy, Signal, SignalDeclaration,
    SignalInput,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const TO_PYTHON: Queue = Queue::new("to_python");
pub(crate) const TO_RUST: Queue = Queue::new("to_rust");
pub(crate) const TWICE: Queue = Queue::new("twice");

/// The file that both sides read.
pub(crate) static DECLARATIONS: LazyLock<Declarations> =
    LazyLock::new(|| Declarations::parse(include_str!("signals.json")).unwrap());

macro_rules! signals {
    ($($signal:ident = $name:literal;)*) => {$(
        #[derive(Serialize, Deserialize)]
        pub(crate) struct $signal {}

        impl Signal for $signal {
            const NAME: &'static str = $name;

            fn declaration() -> &'static SignalDeclaration {
                DECLARATIONS.signal($name).unwrap()
            }
        }
    )*};
}

signals! {
    Note = "note";
    Double = "double";
    Nothing = "nothing";
    Fail = "fail";
    Sleep = "sleep";
}

#[derive(Default)]
pub(crate) struct RustAgent {
    /// Senders and arguments of the notes.
    pub(crate) received: Mutex<Vec<(String, Value)>>,
    /// Bodies of messages, and their attempts.
    pub(crate) taken: Mutex<Vec<(Value, u32)>>,
}

/// The agent that receives signals and takes messages.
impl MicroAgent for RustAgent {
    const NAME: &'static str = "RustAgent";

    fn blueprint() -> Blueprint<Self> {
        let options = ReceiverOptions::default;
        let brief = options().timeout(Duration::from_secs(1));
        let again = ConsumerOptions {
            retry: RetryPolicy::after([Duration::from_millis(100)]),
            ..ConsumerOptions::default()
        };
        Blueprint::new()
            .receiver::<Note>("note", options(), note)
            .receiver::<Double>("double", options(), double)
            .receiver::<Nothing>("nothing", options(), |_, _| {
                Ok(Box::pin(async { Ok(HandlerReply::default()) }))
            })
            .receiver::<Fail>("fail", options(), |_, _| {
                Ok(Box::pin(async { Err("no luck".into()) }))
            })
            .receiver::<Sleep>("sleep", brief, |_, _| Ok(Box::pin(std::future::pending())))
            .consumer("to_rust", TO_RUST, ConsumerOptions::default(), take)
            .consumer("twice", TWICE, again, take_twice)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self::default())
    }
}

/// An agent that calls another one in its receiver.
#[derive(Default)]
pub(crate) struct Relay {
    pub(crate) doubled: Mutex<Vec<u64>>,
}

impl MicroAgent for Relay {
    const NAME: &'static str = "Relay";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().receiver::<Note>("note", ReceiverOptions::default(), relay)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self::default())
    }
}

fn relay(agent: &Arc<Relay>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let (agent, double) = (agent.clone(), input.cx.bus().undeclared("double")?);
    Ok(Box::pin(async move {
        let answer = double.call("relay", &serde_json::json!({"n": 21})).await?;
        agent.doubled.lock().unwrap().push(answer.one()?);
        Ok(HandlerReply::default())
    }))
}

fn note(agent: &Arc<RustAgent>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let note = serde_json::from_slice(input.body)?;
    agent
        .received
        .lock()
        .unwrap()
        .push((input.sender.to_string(), note));
    Ok(Box::pin(async { Ok(HandlerReply::default()) }))
}

fn double(_: &Arc<RustAgent>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let n: i64 = input.fields.get("n")?;
    Ok(Box::pin(async move { HandlerReply::of(&(n * 2)) }))
}

fn take(agent: &Arc<RustAgent>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let body = serde_json::from_slice(taken.message.payload())?;
    agent
        .taken
        .lock()
        .unwrap()
        .push((body, taken.message.attempt()));
    Ok(Box::pin(async { Ok(()) }))
}

fn take_twice(agent: &Arc<RustAgent>, taken: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let attempt = taken.message.attempt();
    let took = take(agent, taken)?;
    Ok(Box::pin(async move {
        match attempt {
            1 => Err("the first time".into()),
            _ => took.await,
        }
    }))
}
