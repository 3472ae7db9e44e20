//! Signals that are published as fast as they are handled.

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
use crate::measure::{self, Cost, Line, Plan, Stopwatch};

const COUNT: u32 = 200_000;
const PIPELINED: u32 = 500;

/// An agent's receiver with named arguments, beside a bare subscription whose messages are decoded. Both receive from the same bare
/// publisher.
pub(crate) async fn signal(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || async {
        let publish = async |channel: &str| publish(&bench, channel).await;
        ours::receive(bench.bus().await?, COUNT, publish).await
    };
    let raw = || receive_raw(&bench);
    measure::rates(plan, COUNT, ours, raw).await
}

async fn receive_raw(bench: &Bench) -> Result<Cost> {
    let pubsub = bench.pubsub("raw:*").await?;
    let countdown = Countdown::from(COUNT);
    let receiving = tokio::spawn({
        let countdown = countdown.clone();
        async move {
            let mut messages = pubsub.into_on_message().take(COUNT as usize);
            while let Some(message) = messages.next().await {
                Args::handle(message.get_payload_bytes(), &countdown)?;
            }
            Ok::<_, Error>(())
        }
    });
    let watch = Stopwatch::start();
    publish(bench, "raw:bench").await?;
    countdown.done().await;
    let cost = watch.stop();
    receiving.await.map_err(failed)??;
    Ok(cost)
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
