//! Calls: there and back over pub/sub.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::try_join_all};
use microagent::prelude::*;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Bench, failed};
use crate::measure::{self, Line, Plan, timed};

const TRIPS: u32 = 5_000;
const MANY: u32 = 50_000;
const CALLERS: u32 = 50;

/// The measured call.
#[derive(Serialize, Deserialize, Signal)]
struct Echo {
    n: u32,
}

struct Echoing;

#[agent]
impl Echoing {
    #[receiver(Echo, concurrency = 1024)]
    async fn echo(&self, n: u32) -> u32 {
        n
    }
}

/// One at a time.
pub(crate) async fn rpc(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let (agent, caller) = (respond(&bench).await?, bench.bus().await?);
    let pinging = Pinging::start(&bench).await?;
    let ours = async || duration(call(&caller, 7)).await;
    let raw = async || duration(pinging.ping()).await;
    let line = measure::latencies(plan, TRIPS, ours, raw).await?;
    agent.stop().await?;
    Ok(line)
}

/// From 50 callers on one bus.
pub(crate) async fn rpc_of_many(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let (agent, caller) = (respond(&bench).await?, bench.bus().await?);
    let pinging = Pinging::start(&bench).await?;
    let ours = || {
        let calls = (0..CALLERS).map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move {
                for n in 0..MANY / CALLERS {
                    call(&caller, n).await?;
                }
                Ok(())
            })
        });
        timed(all(calls.collect()))
    };
    let raw = || {
        let pings = (0..CALLERS).map(|_| {
            let pinging = pinging.clone();
            tokio::spawn(async move {
                for _ in 0..MANY / CALLERS {
                    pinging.ping().await?;
                }
                Ok(())
            })
        });
        timed(all(pings.collect()))
    };
    let line = measure::rates(plan, MANY, ours, raw).await?;
    agent.stop().await?;
    Ok(line)
}

async fn duration(trip: impl Future<Output = Result<()>>) -> Result<Duration> {
    let began = Instant::now();
    trip.await?;
    Ok(began.elapsed())
}

async fn all(tasks: Vec<JoinHandle<Result<()>>>) -> Result<()> {
    try_join_all(tasks)
        .await
        .map_err(failed)?
        .into_iter()
        .collect()
}

async fn respond(bench: &Bench) -> Result<RunningAgent<Echoing>> {
    Agent::new(Echoing).bus(bench.bus().await?).start().await
}

async fn call(caller: &Bus, n: u32) -> Result<()> {
    let answer = caller
        .call("bench", Echo { n })
        .timeout(Duration::from_secs(10))
        .await?;
    assert_eq!(answer.one::<u32>()?, n);
    Ok(())
}

/// A ping-pong by hand: a subscription that answers, one that receives the answers, and the map of waiting callers.
#[derive(Clone)]
struct Pinging {
    connection: MultiplexedConnection,
    last: Arc<AtomicU32>,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

impl Pinging {
    async fn start(bench: &Bench) -> Result<Self> {
        let mut pings = bench.pubsub("ping:*").await?.into_on_message();
        let mut pongs = bench.pubsub("pong:*").await?.into_on_message();
        let answering = bench.connection().await?;
        tokio::spawn(async move {
            while let Some(ping) = pings.next().await {
                let (mut answering, id) =
                    (answering.clone(), ping.get_channel_name()[5..].to_owned());
                tokio::spawn(async move {
                    answering
                        .publish::<_, _, ()>(format!("pong:{id}"), r#"{"n":1}"#)
                        .await
                });
            }
        });
        let waiting = Waiting::default();
        let answered = waiting.clone();
        tokio::spawn(async move {
            while let Some(pong) = pongs.next().await {
                let id = &pong.get_channel_name()[5..];
                let caller = answered
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(id);
                // The caller still waits.
                let _ = caller.map(|caller| caller.send(()));
            }
        });
        Ok(Self {
            connection: bench.connection().await?,
            last: Arc::default(),
            waiting,
        })
    }

    async fn ping(&self) -> Result<()> {
        let id = self.last.fetch_add(1, Ordering::Relaxed).to_string();
        let (answer, answered) = oneshot::channel();
        let channel = format!("ping:{id}");
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, answer);
        let published = self.connection.clone().publish(channel, r#"{"n":1}"#).await;
        let () = published.map_err(failed)?;
        answered.await.map_err(failed)
    }
}
