//! The options that a handler has where nobody says anything: those of an agent that says nothing.

use std::sync::LazyLock;

use microagent_core::{
    Answering, Blueprint, ConsumerOptions, Context, CronOptions, Manifest, MicroAgent,
    PeriodicOptions, Queue, ReceiverOptions, Result, Signal, SignalDeclaration,
};
use serde::{Deserialize, Serialize};

/// One handler of each kind.
pub(super) static DEFAULTS: LazyLock<Manifest> = LazyLock::new(|| Silent::blueprint().manifest());

/// The queue of the consumer, by which its dead letters are named.
pub(super) const QUEUE: &str = "queue";

struct Silent;

#[derive(Serialize, Deserialize)]
struct Heard;

impl Signal for Heard {
    const NAME: &'static str = "heard";

    fn declaration() -> &'static SignalDeclaration {
        static DECLARED: LazyLock<SignalDeclaration> =
            LazyLock::new(|| SignalDeclaration::untyped("heard", []));
        &DECLARED
    }
}

impl MicroAgent for Silent {
    const NAME: &'static str = "Silent";

    fn blueprint() -> Blueprint<Self> {
        let (hear, take) = (ReceiverOptions::default(), ConsumerOptions::default());
        let often = PeriodicOptions::every(std::time::Duration::from_secs(1));
        Blueprint::new()
            .receiver::<Heard>("hear", hear, |_, _| {
                Ok(Box::pin(async { Answering::of(&()) }))
            })
            .consumer("take", Queue::new(QUEUE), take, |_, _| {
                Ok(Box::pin(async { Ok(()) }))
            })
            .periodic("often", often, |_, _| Box::pin(async { Ok(()) }))
            .cron("daily", CronOptions::at("@daily"), |_, _| {
                Box::pin(async { Ok(()) })
            })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}
