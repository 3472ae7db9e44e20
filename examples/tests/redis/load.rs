//! Mails and calls without a pause, and what became of each.

use std::time::{Duration, Instant};

use examples::{queues, signals};
use microagent::prelude::*;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use crate::scene::Scene;

/// The number of mails that are sent per second.
const RATE: u32 = 1_000;
const CALLERS: usize = 4;

/// A call and its result.
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) error: Option<Error>,
}

/// Senders and callers at work until they are stopped.
pub(crate) struct Load {
    stop: CancellationToken,
    sending: JoinHandle<Sent>,
    calling: JoinSet<()>,
    pub(crate) calls: mpsc::UnboundedReceiver<Asked>,
}

/// All mails that were sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// The texts of those that the broker has confirmed.
    pub(crate) confirmed: Vec<String>,
    pub(crate) refused: Vec<Asked>,
}

impl Load {
    pub(crate) fn start(scene: &Scene) -> Self {
        let (broker, bus, stop) = (scene.broker(), scene.bus(), CancellationToken::new());
        let _runtime = scene.runtime.enter();
        let sending = tokio::spawn(send(broker, stop.clone()));
        let (results, calls) = mpsc::unbounded_channel();
        let mut calling = JoinSet::new();
        for _ in 0..CALLERS {
            calling.spawn(call(bus.clone(), stop.clone(), results.clone()));
        }
        Self {
            stop,
            sending,
            calling,
            calls,
        }
    }

    /// Stops, and tells what is not known yet.
    pub(crate) async fn stop(mut self) -> (Sent, Vec<Asked>) {
        self.stop.cancel();
        while self.calling.join_next().await.is_some() {}
        let mut calls = Vec::new();
        while let Some(call) = self.calls.recv().await {
            calls.push(call);
        }
        (self.sending.await.unwrap(), calls)
    }
}

async fn send(broker: Broker, stop: CancellationToken) -> Sent {
    let mut sent = Sent::default();
    let mut beat = interval(Duration::from_secs(1) / RATE);
    for n in 0.. {
        if stop.is_cancelled() {
            break;
        }
        beat.tick().await;
        let text = format!("mail {n}");
        let asked = Asked::of(async { broker.send(queues::MAILER, &json!({"text": text})).await });
        match asked.await {
            Asked { error: None, .. } => sent.confirmed.push(text),
            refused => sent.refused.push(refused),
        }
    }
    sent
}

async fn call(bus: Bus, stop: CancellationToken, results: mpsc::UnboundedSender<Asked>) {
    let mut beat = interval(Duration::from_millis(50));
    while !stop.is_cancelled() {
        beat.tick().await;
        let question = signals::RpcCommentsCount { user_id: 1.into() };
        let asked = Asked::of(async {
            let answer = bus.call("load", question).await?;
            answer.one::<u64>().map(drop)
        });
        drop(results.send(asked.await));
    }
}

impl Asked {
    async fn of(asking: impl Future<Output = Result<()>>) -> Self {
        let at = Instant::now();
        let error = asking.await.err();
        Self {
            at,
            took: at.elapsed(),
            error,
        }
    }
}
