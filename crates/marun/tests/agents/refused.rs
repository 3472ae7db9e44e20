//! Agents that cannot start, whatever their settings say.

use microagent_core::{
    Blueprint, ConsumerOptions, Context, Error, ErrorKind, MicroAgent, Queue, Result,
};

/// Two consumers of one queue, which two constants name.
pub(crate) struct Rivals;

const JOBS: Queue = Queue::new("jobs");
const WORK: Queue = Queue::new("jobs");

impl MicroAgent for Rivals {
    const NAME: &'static str = "Rivals";

    fn blueprint() -> Blueprint<Self> {
        let options = ConsumerOptions::default;
        Blueprint::new()
            .consumer("first", JOBS, options(), |_, _| {
                Ok(Box::pin(async { Ok(()) }))
            })
            .consumer("second", WORK, options(), |_, _| {
                Ok(Box::pin(async { Ok(()) }))
            })
    }

    async fn create(_cx: &Context) -> Result<Self> {
        Ok(Self)
    }
}

/// Cannot be built by its name.
pub(crate) struct Bare;

impl MicroAgent for Bare {
    const NAME: &'static str = "Bare";

    fn blueprint() -> Blueprint<Self> {
        Blueprint::new()
    }

    async fn create(_cx: &Context) -> Result<Self> {
        let problem = Self::creation_problem().unwrap_or_default();
        Err(Error::new(ErrorKind::Configuration, problem))
    }

    fn creation_problem() -> Option<String> {
        Some("`Bare` has neither `#[on(create)]` nor `Default`".to_owned())
    }
}
