//! A process that receives signals, without an agent: it can be stopped, or killed before it answers.

use futures_util::StreamExt;
use microagent_core::{BusEvent, Result, SignalBus};
use microagent_local::{LocalBus, LocalOptions};
use microagent_testing::failure_suite::{follow_test, tell};

/// The pattern of its subscription.
pub(crate) const PATTERN: &str = "PUBSUB:tick:*";

/// The channel after which it stops counting.
pub(crate) const LAST: &str = "PUBSUB:tick:last";

/// Reports the first signal, gaps, and at the last signal how many it received.
pub(crate) async fn receive_signals(options: &LocalOptions) -> Result<()> {
    let _test = follow_test();
    let bus = LocalBus::connect(options).await?;
    let mut events = bus.subscribe(PATTERN).await?;
    tell("listens");
    let mut received = 0;
    while let Some(event) = events.next().await {
        match event {
            BusEvent::Message(message) if message.channel == LAST => {
                tell(&format!("received {received}"));
            }
            BusEvent::Message(_) => {
                received += 1;
                if received == 1 {
                    tell("receives");
                }
            }
            BusEvent::Gap(gap) => tell(&format!("gap: {}", gap.reason)),
            BusEvent::Lost(reason) => tell(&format!("lost: {reason}")),
            other => tell(&format!("something else: {other:?}")),
        }
    }
    Ok(())
}
