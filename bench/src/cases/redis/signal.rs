//! Signals as fast as they are heard.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use microagent::prelude::*;

use super::{
    super::{
        agents::{BODY, Countdown},
        by_hand::Args,
        ours,
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
    let hear = || async {
        let publish = async |channel: &str| publish(&bench, channel).await;
        ours::hear(bench.bus().await?, COUNT, publish).await
    };
    let raw = || hear_raw(&bench);
    measure::rates(rounds, COUNT, hear, raw).await
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
