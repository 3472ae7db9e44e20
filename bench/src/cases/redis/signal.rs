//! Signals as fast as they are heard.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use microagent::prelude::*;

use super::{
    super::{
        agents::{BODY, Countdown, Counting, UserCreated},
        by_hand::Args,
    },
    Bench, failed,
};
use crate::measure::{self, Line};

const COUNT: u32 = 200_000;
const PIPELINED: u32 = 500;

/// An agent's receiver with named arguments, beside a bare subscription whose messages are decoded. Both hear the same bare
/// publisher.
pub(crate) async fn signal(rounds: u32) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || hear_ours(&bench);
    let raw = || hear_raw(&bench);
    measure::rates(rounds, COUNT, ours, raw).await
}

async fn hear_ours(bench: &Bench) -> Result<Duration> {
    let bus = bench.bus().await?;
    let countdown = Countdown::from(COUNT);
    let agent = Counting {
        countdown: countdown.clone(),
    };
    let agent = Agent::new(agent)
        .bus(bus.clone())
        .broker(Broker::connect("memory://").await?)
        .start()
        .await?;
    let channel = format!("{}:{}:bench", bus.prefix(), <UserCreated as Signal>::NAME);
    let began = Instant::now();
    publish(bench, &channel).await?;
    countdown.done().await;
    let took = began.elapsed();
    agent.stop().await?;
    bus.close().await?;
    Ok(took)
}

async fn hear_raw(bench: &Bench) -> Result<Duration> {
    let pubsub = bench.pubsub("raw:*").await?;
    let countdown = Countdown::from(COUNT);
    let hearing = tokio::spawn({
        let countdown = countdown.clone();
        async move {
            let mut messages = pubsub.into_on_message().take(COUNT as usize);
            while let Some(message) = messages.next().await {
                let args: Args = serde_json::from_slice(message.get_payload_bytes())?;
                countdown.count(args.user_id, &args.text, &args.email);
            }
            Ok::<_, Error>(())
        }
    });
    let began = Instant::now();
    publish(bench, "raw:bench").await?;
    countdown.done().await;
    let took = began.elapsed();
    hearing.await.map_err(failed)??;
    Ok(took)
}

async fn publish(bench: &Bench, channel: &str) -> Result<()> {
    let mut connection = bench.connection().await?;
    let mut pipe = redis::pipe();
    for _ in 0..PIPELINED {
        pipe.publish(channel, BODY).ignore();
    }
    for _ in 0..COUNT / PIPELINED {
        let published = pipe.query_async(&mut connection).await;
        let () = published.map_err(failed)?;
    }
    Ok(())
}
