//! Sending: an awaited `RPUSH` for each message.

use futures_util::future::try_join_all;
use microagent::prelude::*;
use redis::AsyncCommands;

use super::{
    super::agents::{BODY, MAILER, UserCreated},
    Bench, failed,
};
use crate::measure::{self, Line, Plan, timed};

const ONE_BY_ONE: u32 = 20_000;
const MANY: u32 = 200_000;
const TASKS: u32 = 64;

/// One at a time.
pub(crate) async fn send(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    rates(plan, &bench, ONE_BY_ONE, 1).await
}

/// From 64 tasks.
pub(crate) async fn send_from_many(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    rates(plan, &bench, MANY, TASKS).await
}

async fn rates(plan: Plan, bench: &Bench, count: u32, tasks: u32) -> Result<Line> {
    let broker = bench.broker().await?;
    let ours = || async {
        let senders = (0..tasks).map(|_| tokio::spawn(send_ours(broker.clone(), count / tasks)));
        timed(all(senders)).await
    };
    let raw = || async {
        let senders = (0..tasks).map(|_| tokio::spawn(send_raw(bench.raw.clone(), count / tasks)));
        timed(all(senders)).await
    };
    measure::rates(plan, count, ours, raw).await
}

async fn all(senders: impl Iterator<Item = tokio::task::JoinHandle<Result<()>>>) -> Result<()> {
    let sent = try_join_all(senders).await.map_err(failed)?;
    sent.into_iter().collect()
}

async fn send_ours(broker: Broker, count: u32) -> Result<()> {
    let mail = UserCreated::sample();
    for _ in 0..count {
        broker.send(MAILER, &mail).await?;
    }
    Ok(())
}

/// The body is made for each message, as above.
async fn send_raw(mut connection: redis::aio::MultiplexedConnection, count: u32) -> Result<()> {
    let mail = UserCreated::sample();
    debug_assert_eq!(serde_json::to_string(&mail)?, BODY);
    for _ in 0..count {
        let body = serde_json::to_vec(&mail)?;
        let sent = connection.rpush("raw", body).await;
        let () = sent.map_err(failed)?;
    }
    Ok(())
}
