//! Sending: each message is confirmed, and a hundred wait for it.

use microagent::prelude::*;

use super::{
    super::{agents::UserCreated, ours},
    Bench, IN_FLIGHT, OURS, RAW, of_microagent, publish,
};
use crate::measure::{self, Line, Plan, timed};

const COUNT: u32 = 50_000;

/// A hundred in flight.
pub(crate) async fn send(plan: Plan) -> Result<Line> {
    let bench = Bench::start().await?;
    let ours = || async {
        bench.empty(OURS, true).await?;
        let broker = bench.broker("").await?;
        timed(ours::send(&broker, COUNT, IN_FLIGHT)).await
    };
    let raw = || async {
        bench.empty(RAW, true).await?;
        let channel = bench.channel().await?;
        let mail = UserCreated::sample();
        // The body is made for each message, as on our side.
        let body = || Ok(serde_json::to_vec(&mail)?);
        timed(publish(&channel, RAW, COUNT, of_microagent, body)).await
    };
    measure::rates(plan, COUNT, ours, raw).await
}
