//! The parts of an agent that only its status reads: the phase of its life, and the way to its runtime.

use std::sync::{Arc, Mutex};

use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{depths::QueueDepths, round::Rounds};
use crate::{Clock, driver::lock};

/// The phase of an agent's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Starting,
    Live,
    Draining,
    Stopped,
}

/// The health of an agent.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) agent_type: &'static str,
    pub(crate) agent_version: &'static str,
    pub(crate) started: Instant,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) runtime: Option<Handle>,
    pub(crate) rounds: Rounds,
    pub(crate) depths: QueueDepths,
    /// Cancelled when the agent has stopped, or was not started.
    pub(crate) ended: CancellationToken,
    life: Mutex<Life>,
}

/// The present phase.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) phase: Phase,
    pub(super) since: Instant,
    /// The failure that ended the agent.
    pub(super) failure: Option<String>,
}

impl Health {
    pub(crate) fn new(
        agent_type: &'static str,
        agent_version: &'static str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let now = Instant::now();
        Self {
            agent_type,
            agent_version,
            started: now,
            clock,
            runtime: Handle::try_current().ok(),
            rounds: Rounds::default(),
            depths: QueueDepths::default(),
            ended: CancellationToken::new(),
            life: Mutex::new(Life {
                phase: Phase::Starting,
                since: now,
                failure: None,
            }),
        }
    }

    /// Notes a later phase. An earlier one is not entered again.
    pub(crate) fn enter(&self, phase: Phase) {
        let mut life = lock(&self.life);
        if life.phase < phase {
            life.phase = phase;
            life.since = Instant::now();
        }
        drop(life);
        if phase == Phase::Stopped {
            self.ended.cancel();
        }
    }

    /// Notes the first failure.
    pub(crate) fn fail(&self, failure: impl FnOnce() -> String) {
        lock(&self.life).failure.get_or_insert_with(failure);
    }

    pub(super) fn life(&self) -> Life {
        lock(&self.life).clone()
    }
}
