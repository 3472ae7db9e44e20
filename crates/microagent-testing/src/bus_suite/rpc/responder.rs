//! An agent that answers, without macros.

use std::sync::{Arc, LazyLock};

use microagent_core::{
    Agent, Blueprint, Bus, Context, HandlerFuture, HandlerReply, MicroAgent, ReceiverOptions,
    Result, RunningAgent, Signal, SignalDeclaration, SignalInput,
};
use serde::{Deserialize, Serialize};

/// Asks for a larger number. Zero gets no value, a negative number a failure.
#[derive(Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) n: i64,
}

impl Signal for Probe {
    const NAME: &'static str = "probe";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("probe", ["n"]));
        &DECLARED
    }
}

pub(super) struct Responder {
    plus: i64,
}

impl MicroAgent for Responder {
    const NAME: &'static str = "Responder";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new().receiver::<Probe>("probe", ReceiverOptions::default(), probe)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self { plus: 1 })
    }
}

fn probe(agent: &Arc<Responder>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let (n, plus): (i64, _) = (input.fields.get("n")?, agent.plus);
    Ok(Box::pin(async move {
        match n {
            ..0 => Err("a negative number".into()),
            0 => Ok(HandlerReply::default()),
            _ => HandlerReply::of(&(n + plus)),
        }
    }))
}

/// Starts a responder on this bus.
pub(super) async fn respond(bus: &Bus, plus: i64) -> RunningAgent<Responder> {
    let agent = Agent::new(Responder { plus }).bus(bus.clone());
    agent.start().await.expect("an agent that starts")
}
