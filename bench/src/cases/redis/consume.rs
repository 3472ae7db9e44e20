//! Consuming at least once what waits already.

use std::time::{Duration, Instant};

use microagent::prelude::*;
use redis::{AsyncCommands, aio::MultiplexedConnection};

use super::{
    super::{
        agents::{BODY, Countdown},
        by_hand::Args,
        ours,
    },
    Bench, failed, python,
};
use crate::measure::{self, Line};

const COUNT: u32 = 100_000;

/// Moves up to a hundred messages aside, and gives them.
const MOVE: &str = "
    local bodies = redis.call('LPOP', KEYS[1], 100)
    if not bodies then return {} end
    redis.call('RPUSH', KEYS[2], unpack(bodies))
    return bodies";

/// An agent's consumer with named arguments, beside a loop that moves a hundred at a time by a script, decodes them, and
/// removes them by pipelined `LREM`s.
pub(crate) async fn consume(rounds: u32) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || consume_ours(&bench, COUNT);
    let raw = || consume_raw(&bench);
    measure::rates(rounds, COUNT, ours, raw).await
}

/// The same beside the Python package, which takes messages at most once.
pub(crate) async fn consume_beside_python(rounds: u32) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || consume_ours(&bench, python::COUNT);
    let theirs = || async {
        fill(&bench, "mailer", python::COUNT).await?;
        python::consume(&bench).await
    };
    measure::rates(rounds.min(2), python::COUNT, ours, theirs).await
}

async fn consume_ours(bench: &Bench, count: u32) -> Result<Duration> {
    fill(bench, "mailer", count).await?;
    ours::consume(bench.broker().await?, count).await
}

async fn consume_raw(bench: &Bench) -> Result<Duration> {
    fill(bench, "raw", COUNT).await?;
    let mut connection = bench.connection().await?;
    let (countdown, script) = (Countdown::from(COUNT), redis::Script::new(MOVE));
    let began = Instant::now();
    loop {
        let mut call = script.key("raw");
        let call = call.key("raw:processing");
        let bodies: Vec<Vec<u8>> = call.invoke_async(&mut connection).await.map_err(failed)?;
        if bodies.is_empty() {
            return Ok(began.elapsed());
        }
        handle(&mut connection, &countdown, bodies).await?;
    }
}

async fn handle(
    connection: &mut MultiplexedConnection,
    countdown: &Countdown,
    bodies: Vec<Vec<u8>>,
) -> Result<()> {
    let mut acks = redis::pipe();
    for body in bodies {
        let args: Args = serde_json::from_slice(&body)?;
        countdown.count(args.user_id, &args.text, &args.email);
        acks.lrem("raw:processing", 1, body).ignore();
    }
    acks.query_async(connection).await.map_err(failed)
}

async fn fill(bench: &Bench, list: &str, count: u32) -> Result<()> {
    let mut connection = bench.connection().await?;
    let flushed = redis::cmd("FLUSHALL").query_async(&mut connection).await;
    let () = flushed.map_err(failed)?;
    let bodies = vec![BODY; 1000];
    for _ in 0..count / 1000 {
        let pushed = connection.rpush(list, &bodies).await;
        let () = pushed.map_err(failed)?;
    }
    Ok(())
}
