//! One member of the group: its rules, and the stage of its life that it is in. It decides nothing.

use std::time::{Duration, Instant};

use super::{
    super::{
        ending::Ending,
        pause::{MOST_GRANTS, later},
    },
    KILL_MARGIN,
    restart::Restarts,
};
use crate::settings::Restart;

/// What a member may take and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Its name in the group.
    pub(crate) name: String,
    /// How long it may drain.
    pub(crate) grace: Duration,
    /// How long it may take to become ready.
    pub(crate) ready_timeout: Duration,
    /// How long it may give no sign of life once it is ready; none for one that gives none.
    pub(crate) watchdog: Option<Duration>,
    /// What follows its end.
    pub(crate) restart: Restart,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) rules: Rules,
    pub(super) stage: Stage,
    pub(super) restarts: Restarts,
    /// When it got its process.
    pub(super) started: Option<Instant>,
    pub(super) last_end: Option<Ending>,
    /// How often the time of this stage was granted again after a pause of the launcher.
    grants: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its process is about to be started.
    Waiting,
    /// It must be ready by then.
    Starting { deadline: Instant },
    /// It must give a sign of life by then, where somebody watches.
    Ready { silent_at: Option<Instant> },
    /// It has given none, and is killed then.
    Blocked { until: Instant },
    /// It has failed and will be started again; its process must have ended by then.
    Failing { deadline: Instant },
    /// It was asked to stop, and must have by then.
    Draining { deadline: Instant },
    /// SIGKILL is on its way.
    Killed,
    /// It has no process, and gets a new one then.
    Resting { until: Instant },
    /// It has no process and gets none.
    Gone,
}

impl Member {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            restarts: Restarts::new(rules.restart),
            rules,
            stage: Stage::Waiting,
            started: None,
            last_end: None,
            grants: 0,
        }
    }

    /// Changes the stage after an event of the member.
    pub(super) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.grants = 0;
    }

    /// When something must have happened, or is to happen.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Starting { deadline }
            | Stage::Failing { deadline }
            | Stage::Draining { deadline } => Some(deadline),
            Stage::Ready { silent_at } => silent_at,
            Stage::Blocked { until } | Stage::Resting { until } => Some(until),
            Stage::Waiting | Stage::Killed | Stage::Gone => None,
        }
    }

    /// It has become ready, and nothing else since; one that is blocked may still take heart.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. } | Stage::Blocked { .. })
    }

    /// When it is blocked that gives no further sign of life: after half of the time that it may.
    pub(super) fn silent_at(&self, now: Instant) -> Option<Instant> {
        self.rules.watchdog.map(|watchdog| later(now, watchdog / 2))
    }

    /// When it is killed if it is asked to stop now.
    pub(super) fn killed_at(&self, now: Instant) -> Instant {
        later(now, self.rules.grace.saturating_add(KILL_MARGIN))
    }

    /// Grants the member the time of its stage again after a pause of the launcher; returns false if the launcher has done so
    /// [`MOST_GRANTS`] times already, without an event of the member between them.
    pub(super) fn grant_after_pause(&mut self, now: Instant) -> bool {
        if self.grants == MOST_GRANTS {
            return false;
        }
        self.grants += 1;
        self.grant_again(now);
        true
    }

    /// Grants the member the time of its stage again: the launcher could not receive its reports, and may have been paused together
    /// with it. A pause before a restart is over.
    pub(super) fn grant_again(&mut self, now: Instant) {
        self.stage = match self.stage {
            Stage::Starting { .. } => Stage::Starting {
                deadline: later(now, self.rules.ready_timeout),
            },
            Stage::Ready { .. } | Stage::Blocked { .. } => Stage::Ready {
                silent_at: self.silent_at(now),
            },
            Stage::Failing { .. } => Stage::Failing {
                deadline: self.killed_at(now),
            },
            Stage::Draining { .. } => Stage::Draining {
                deadline: self.killed_at(now),
            },
            Stage::Resting { .. } => Stage::Resting { until: now },
            stage @ (Stage::Waiting | Stage::Killed | Stage::Gone) => stage,
        };
    }

    /// Whether this end is one without a failure, and what is told of it.
    pub(super) fn verdict(&self, ending: Ending) -> (bool, String) {
        let name = &self.rules.name;
        match self.stage {
            Stage::Waiting | Stage::Starting { .. } => {
                (false, format!("{name} {ending} before it was ready"))
            }
            Stage::Ready { .. } | Stage::Blocked { .. } => {
                (ending.is_clean(), format!("{name} {ending}"))
            }
            Stage::Draining { .. } if ending.is_clean_stop() => (true, format!("{name} stopped")),
            Stage::Failing { .. }
            | Stage::Draining { .. }
            | Stage::Killed
            | Stage::Resting { .. }
            | Stage::Gone => (false, format!("{name} {ending}")),
        }
    }
}

impl Stage {
    /// The word of a status table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Blocked { .. } => "blocked",
            Self::Failing { .. } => "failing",
            Self::Draining { .. } => "stopping",
            Self::Killed => "killed",
            Self::Resting { .. } => "resting",
            Self::Gone => "gone",
        }
    }
}
