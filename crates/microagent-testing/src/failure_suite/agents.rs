//! Agents that hear, written by hand: they answer, cannot keep up, fail or panic.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use microagent_core::{
    Blueprint, Context, HandlerFuture, HandlerReply, MicroAgent, ReceiverOptions, Result, Signal,
    SignalDeclaration, SignalInput,
};
use serde::{Deserialize, Serialize};

/// A signal with a number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tick {
    /// The number.
    pub n: u64,
}

impl Signal for Tick {
    const NAME: &'static str = "tick";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("tick", ["n"]));
        &DECLARED
    }
}

/// Another, that nothing disturbs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tock {
    /// The number.
    pub n: u64,
}

impl Signal for Tock {
    const NAME: &'static str = "tock";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("tock", ["n"]));
        &DECLARED
    }
}

/// An agent that receives both: at a tick it does what it was made for, a tock it counts and answers.
#[derive(Debug)]
pub struct Listener {
    /// The reaction to a tick.
    pub at_tick: AtTick,
    /// The number of tocks that it has received.
    pub tocks: AtomicU64,
    /// The number of ticks that it has begun to handle.
    pub ticks: AtomicU64,
}

/// The reaction of a [`Listener`] to a tick.
#[derive(Clone, Copy, Debug)]
pub enum AtTick {
    /// It answers with the number.
    Answers,
    /// It panics.
    Panics,
    /// It returns an error.
    Fails,
    /// It sleeps, and answers then.
    Sleeps(Duration),
}

impl Listener {
    /// Creates one that has received nothing.
    #[must_use]
    pub fn new(at_tick: AtTick) -> Self {
        Self {
            at_tick,
            tocks: AtomicU64::default(),
            ticks: AtomicU64::default(),
        }
    }
}

impl MicroAgent for Listener {
    const NAME: &'static str = "Listener";

    fn blueprint() -> Blueprint<Self> {
        let slow = ReceiverOptions::default().concurrency(1).buffer(4);
        Blueprint::new()
            .receiver::<Tick>("tick", slow, tick)
            .receiver::<Tock>("tock", ReceiverOptions::default(), tock)
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self::new(AtTick::Answers))
    }
}

fn tick(listener: &Arc<Listener>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let (n, at_tick): (u64, _) = (input.fields.get("n")?, listener.at_tick);
    listener.ticks.fetch_add(1, Ordering::Relaxed);
    Ok(Box::pin(async move {
        match at_tick {
            AtTick::Answers => {}
            AtTick::Panics => panic!("at a tick"),
            AtTick::Fails => return Err("no ticks today".into()),
            AtTick::Sleeps(long) => tokio::time::sleep(long).await,
        }
        HandlerReply::of(&n)
    }))
}

fn tock(listener: &Arc<Listener>, input: &SignalInput<'_>) -> HandlerFuture<HandlerReply> {
    let n: u64 = input.fields.get("n")?;
    listener.tocks.fetch_add(1, Ordering::Relaxed);
    Ok(Box::pin(async move { HandlerReply::of(&n) }))
}
