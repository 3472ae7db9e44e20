//! Sending: each message is confirmed by the server, and a hundred wait for it.

use microagent::prelude::*;

use super::{
    super::{
        agents::{MAILER, UserCreated},
        ours,
    },
    Bench, RAW, publish,
};
use crate::measure::{self, Line, Plan, timed};

const COUNT: u32 = 50_000;
const IN_FLIGHT: usize = 100;

/// A hundred in flight.
pub(crate) async fn send(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let broker = bench.broker("bench").await?;
    let producer = bench.producer()?;
    let mail = UserCreated::sample();
    // The topic is known to both before the clock starts.
    broker.send(MAILER, &mail).await?;
    // The body is made for each message, as on our side.
    let body = || Ok(serde_json::to_vec(&mail)?);
    publish(&producer, RAW, 1, 1, body).await?;
    let ours = || timed(ours::send(&broker, COUNT, IN_FLIGHT));
    let raw = || timed(publish(&producer, RAW, COUNT, IN_FLIGHT, body));
    measure::rates(plan, COUNT, ours, raw).await
}
