//! Consuming at least once what waits already.

use microagent::prelude::*;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    super::{
        agents::{BODY, Countdown, LARGE_BODY},
        by_hand::Args,
        ours, processes, python,
        worker::Work,
    },
    Bench, RAW, failed,
};
use crate::measure::{self, Cost, Line, Plan, Stopwatch};

const COUNT: u32 = 100_000;
const LARGE: u32 = 20_000;

/// The number of batches that wait for their work, and for their acknowledgement.
const BATCHES: usize = 4;

/// Moves up to a hundred messages aside, and returns them.
const MOVE: &str = "
    local bodies = redis.call('LPOP', KEYS[1], 100)
    if not bodies then return {} end
    redis.call('RPUSH', KEYS[2], unpack(bodies))
    return bodies";

/// An agent's consumer with named arguments, beside three overlapping loops: one moves a hundred messages at a time by a script, one
/// decodes and handles them, and one removes them by pipelined `LREM`s.
pub(crate) async fn consume(plan: Plan) -> Result<Line> {
    consume_bodies(plan, COUNT, BODY).await
}

/// The same with bodies of 16 KiB.
pub(crate) async fn consume_large(plan: Plan) -> Result<Line> {
    consume_bodies(plan, LARGE, &LARGE_BODY).await
}

async fn consume_bodies(plan: Plan, count: u32, body: &str) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || consume_ours(&bench, count, body);
    let raw = || async {
        fill(&bench, RAW, count, body).await?;
        let connection = bench.connection().await?;
        let watch = Stopwatch::start();
        take_all(
            connection,
            format!("{RAW}:processing"),
            Countdown::from(count),
        )
        .await?;
        Ok(watch.stop())
    };
    measure::rates(plan, count, ours, raw).await
}

/// Consumers in this many processes, each with an agent on one side and the three loops on the other.
pub(crate) async fn consume_in_processes(plan: Plan, processes: u32) -> Result<Line> {
    let bench = Bench::start().await?;
    let target = bench.server.dsn();
    let consume = async |work, list| {
        fill(&bench, list, COUNT, BODY).await?;
        processes::consume(work, &target, processes, COUNT).await
    };
    let ours = || consume(Work::Agent, "mailer");
    let raw = || consume(Work::Redis, RAW);
    measure::rates(plan, COUNT, ours, raw).await
}

/// The same beside the Python package, which takes messages at most once.
pub(crate) async fn consume_beside_python(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || consume_ours(&bench, python::COUNT, BODY);
    let theirs = || async {
        fill(&bench, "mailer", python::COUNT, BODY).await?;
        python::consume(&bench.server.dsn()).await
    };
    measure::rates(plan.at_most(2), python::COUNT, ours, theirs).await
}

async fn consume_ours(bench: &Bench, count: u32, body: &str) -> Result<Cost> {
    fill(bench, "mailer", count, body).await?;
    ours::consume(bench.broker().await?, count).await
}

/// Consumes the raw list by hand until it is empty and everything is acknowledged.
pub(crate) async fn take_all(
    connection: MultiplexedConnection,
    processing: String,
    countdown: Countdown,
) -> Result<()> {
    let (fetched, mut batches) = mpsc::channel(BATCHES);
    let (handled, acknowledged) = mpsc::channel(BATCHES);
    let fetching = tokio::spawn(fetch(connection.clone(), processing.clone(), fetched));
    let acknowledging = tokio::spawn(acknowledge(connection, processing, acknowledged));
    while let Some(bodies) = batches.recv().await {
        for body in &bodies {
            Args::handle(body, &countdown)?;
        }
        handled.send(bodies).await.map_err(failed)?;
    }
    drop(handled);
    joined(fetching).await?;
    joined(acknowledging).await
}

type Batch = Vec<Vec<u8>>;

async fn fetch(
    mut connection: MultiplexedConnection,
    processing: String,
    fetched: mpsc::Sender<Batch>,
) -> Result<()> {
    let script = redis::Script::new(MOVE);
    loop {
        let mut call = script.key(RAW);
        let call = call.key(&processing);
        let bodies: Batch = call.invoke_async(&mut connection).await.map_err(failed)?;
        if bodies.is_empty() {
            return Ok(());
        }
        fetched.send(bodies).await.map_err(failed)?;
    }
}

async fn acknowledge(
    mut connection: MultiplexedConnection,
    processing: String,
    mut handled: mpsc::Receiver<Batch>,
) -> Result<()> {
    while let Some(bodies) = handled.recv().await {
        let mut pipe = redis::pipe();
        for body in bodies {
            pipe.lrem(&processing, 1, body).ignore();
        }
        let removed = pipe.query_async(&mut connection).await;
        let () = removed.map_err(failed)?;
    }
    Ok(())
}

async fn joined(task: JoinHandle<Result<()>>) -> Result<()> {
    task.await.map_err(failed)?
}

async fn fill(bench: &Bench, list: &str, count: u32, body: &str) -> Result<()> {
    let mut connection = bench.connection().await?;
    let flushed = redis::cmd("FLUSHALL").query_async(&mut connection).await;
    let () = flushed.map_err(failed)?;
    let bodies = vec![body; 1000];
    for _ in 0..count / 1000 {
        let pushed = connection.rpush(list, &bodies).await;
        let () = pushed.map_err(failed)?;
    }
    Ok(())
}
