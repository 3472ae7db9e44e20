//! Consuming what waits already, acknowledged.

use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use microagent::prelude::*;
use tokio::sync::mpsc;

use super::{
    super::{agents::Countdown, by_hand::Args, ours, python},
    Bench, OURS, RAW, failed,
};
use crate::measure::{self, Cost, Line, Plan, Stopwatch};

const COUNT: u32 = 50_000;
const PREFETCH: u16 = 1000;

/// Counts as the agents of the other cases do, with the prefetch of this one.
struct Prefetching {
    countdown: Countdown,
}

#[agent]
impl Prefetching {
    #[consumer(super::super::agents::MAILER, concurrency = 64, prefetch = 1000)]
    async fn consume(&self, user_id: u64, text: String, email: String) {
        self.countdown.count(user_id, &text, &email);
    }
}

/// An agent's consumer with named arguments, beside a loop that decodes and handles and a task that acknowledges up to the last.
pub(crate) async fn consume(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || async {
        bench.fill(OURS, COUNT).await?;
        consume_ours(&bench, "", COUNT).await
    };
    let raw = || async {
        bench.fill(RAW, COUNT).await?;
        let channel = bench.raw.create_channel().await.map_err(failed)?;
        let watch = Stopwatch::start();
        take_all(channel).await?;
        Ok(watch.stop())
    };
    measure::rates(plan, COUNT, ours, raw).await
}

/// The same beside the Python package, with its queue and its messages.
pub(crate) async fn consume_beside_python(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || async {
        bench.fill_as_python(OURS, python::COUNT).await?;
        consume_ours(&bench, "?durable=false", python::COUNT).await
    };
    let theirs = || async {
        bench.fill_as_python(OURS, python::COUNT).await?;
        python::consume(&bench.server.dsn()).await
    };
    measure::rates(plan.at_most(2), python::COUNT, ours, theirs).await
}

async fn consume_ours(bench: &Bench, options: &str, count: u32) -> Result<Cost> {
    let agent = |countdown| Prefetching { countdown };
    ours::consume_by(agent, bench.broker(options).await?, count).await
}

/// Consumes the raw queue by hand until everything is handled and acknowledged.
async fn take_all(channel: Channel) -> Result<()> {
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    qos.await.map_err(failed)?;
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(RAW.into(), "".into(), options, FieldTable::default());
    let mut deliveries = consuming.await.map_err(failed)?;
    let (handled, tags) = mpsc::unbounded_channel();
    let acknowledging = tokio::spawn(acknowledge(channel.clone(), tags));
    let countdown = Countdown::from(COUNT);
    for _ in 0..COUNT {
        let Some(delivery) = deliveries.next().await else {
            break;
        };
        let delivery = delivery.map_err(failed)?;
        Args::handle(&delivery.data, &countdown)?;
        handled.send(delivery.delivery_tag).map_err(failed)?;
    }
    countdown.done().await;
    drop(handled);
    acknowledging.await.map_err(failed)??;
    // The answer comes behind the acknowledgements.
    channel.close(200, "done".into()).await.map_err(failed)
}

/// The messages are handled in their order, so the last of those that are done stands for all.
async fn acknowledge(channel: Channel, mut tags: mpsc::UnboundedReceiver<u64>) -> Result<()> {
    let mut done = Vec::new();
    while tags.recv_many(&mut done, PREFETCH.into()).await > 0 {
        let last = done.drain(..).next_back().unwrap_or_default();
        let options = BasicAckOptions { multiple: true };
        channel.basic_ack(last, options).await.map_err(failed)?;
    }
    Ok(())
}
