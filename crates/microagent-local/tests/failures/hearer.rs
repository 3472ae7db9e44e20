//! A process that hears signals, without an agent: it can be stopped, or killed before it answers.

use futures_util::StreamExt;
use microagent_core::{BusEvent, Result, SignalBus};
use microagent_local::{LocalBus, LocalOptions};
use microagent_testing::failure_suite::{follow_test, tell};

/// What it subscribes to.
pub(crate) const PATTERN: &str = "PUBSUB:tick:*";

/// The channel after which it counts no more.
pub(crate) const LAST: &str = "PUBSUB:tick:last";

/// Tells of the first signal and of gaps, and at the last one how many it heard.
pub(crate) async fn hear(options: &LocalOptions) -> Result<()> {
    let _test = follow_test();
    let bus = LocalBus::connect(options).await?;
    let mut events = bus.subscribe(PATTERN).await?;
    tell("listens");
    let mut heard = 0;
    while let Some(event) = events.next().await {
        match event {
            BusEvent::Message(message) if message.channel == LAST => {
                tell(&format!("heard {heard}"));
            }
            BusEvent::Message(_) => {
                heard += 1;
                if heard == 1 {
                    tell("hears");
                }
            }
            BusEvent::Gap(gap) => tell(&format!("gap: {}", gap.reason)),
            BusEvent::Lost(reason) => tell(&format!("lost: {reason}")),
            other => tell(&format!("something else: {other:?}")),
        }
    }
    Ok(())
}
