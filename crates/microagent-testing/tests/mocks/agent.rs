//! The agent for the tests of the mocks: one handler of each kind, without macros.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use microagent_core::{
    Agent, Blueprint, Broker, Bus, ConsumerOptions, Context, Fields, HandlerFuture, HandlerReply,
    MessageInput, MicroAgent, Queue, ReceiverOptions, Result, RunningAgent, Signal,
    SignalDeclaration, SignalInput,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) const MAILER: Queue = Queue::new("mailer");
pub(crate) const ORDERS: Queue = Queue::new("orders");

#[derive(Serialize, Deserialize)]
pub(crate) struct UserCreated {
    pub(crate) user_id: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RpcCount {
    pub(crate) user_id: u64,
}

impl Signal for UserCreated {
    const NAME: &'static str = "user_created";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("user_created", ["user_id"]));
        &DECLARED
    }
}

impl Signal for RpcCount {
    const NAME: &'static str = "rpc_count";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("rpc_count", ["user_id"]));
        &DECLARED
    }
}

/// Welcomes users by mail, counts them when asked, and takes orders that are not negative.
#[derive(Default)]
pub(crate) struct Shop {
    pub(crate) gaps: Arc<AtomicUsize>,
}

impl MicroAgent for Shop {
    const NAME: &'static str = "Shop";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new()
            .receiver::<UserCreated>("welcome", ReceiverOptions::default(), welcome)
            .receiver::<RpcCount>("count", ReceiverOptions::default(), count)
            .consumer("order", ORDERS, ConsumerOptions::default(), order)
            .gap("deaf", |agent, _cx, _gap| {
                agent.gaps.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self::default())
    }
}

fn welcome(_: &Arc<Shop>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let (user_id, cx): (u64, _) = (input.fields.get("user_id")?, input.cx.clone());
    Ok(Box::pin(async move {
        // A handler that waits: the test's `stop` has to wait for it.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        cx.broker().send(MAILER, &json!({"to": user_id})).await?;
        Ok(HandlerReply::default())
    }))
}

fn count(_: &Arc<Shop>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let user_id: u64 = input.fields.get("user_id")?;
    Ok(Box::pin(async move { HandlerReply::of(&(user_id + 1)) }))
}

fn order(_: &Arc<Shop>, input: &mut MessageInput<'_>) -> HandlerFuture<()> {
    let amount: i64 = Fields::of(input.message.payload())?.get("amount")?;
    Ok(Box::pin(async move {
        match amount {
            ..0 => Err("a negative amount".into()),
            _ => Ok(()),
        }
    }))
}

pub(crate) async fn shop(bus: Bus, broker: Broker) -> Result<RunningAgent<Shop>> {
    Agent::new(Shop::default())
        .bus(bus)
        .broker(broker)
        .start()
        .await
}
