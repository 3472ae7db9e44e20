//! Agents that need a bus or a broker.

use std::{future::pending, sync::LazyLock};

use microagent_core::{
    Answering, Blueprint, ConsumerOptions, Context, MicroAgent, Queue, ReceiverOptions, Result,
    Signal, SignalDeclaration,
};
use serde::{Deserialize, Serialize};

/// A question whose answer is one more; to a negative number there is none, and to zero an error.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ask {
    n: i64,
}

impl Signal for Ask {
    const NAME: &'static str = "ask";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("ask", ["n"]));
        &DECLARED
    }
}

pub(crate) struct Responder;

impl MicroAgent for Responder {
    const NAME: &'static str = "Responder";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().receiver::<Ask>("answer", ReceiverOptions::default(), |_, heard| {
            let n: i64 = heard.fields.get("n")?;
            Ok(Box::pin(async move {
                match n {
                    ..0 => pending().await,
                    0 => Err("zero".into()),
                    n => Answering::of(&(n + 1)),
                }
            }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

pub(crate) struct Worker;

impl MicroAgent for Worker {
    const NAME: &'static str = "Worker";

    fn blueprint() -> Blueprint<Self> {
        let jobs = Queue::new("jobs");
        Blueprint::new().consumer("work", jobs, ConsumerOptions::default(), |_, taken| {
            let text = String::from_utf8_lossy(taken.message.payload()).into_owned();
            Ok(Box::pin(async move {
                println!("job {text}");
                Ok(())
            }))
        })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}
