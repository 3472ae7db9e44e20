//! One member of the group: its rules, and the stage of its life that it is in. It decides nothing.

use std::time::{Duration, Instant};

use super::{
    super::{
        exit_status::ExitStatus,
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
    pub(super) state: State,
    pub(super) restarts: Restarts,
    /// When it got its process.
    pub(super) started: Option<Instant>,
    pub(super) last_end: Option<ExitStatus>,
    /// How often the time of this stage was granted again after a pause of the launcher.
    grants: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its process is about to be started.
    Pending,
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
    Backoff { until: Instant },
    /// It has no process and gets none.
    Ended,
}

impl Member {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            restarts: Restarts::new(rules.restart),
            rules,
            state: State::Pending,
            started: None,
            last_end: None,
            grants: 0,
        }
    }

    /// Changes the stage after an event of the member.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.grants = 0;
    }

    /// When something must have happened, or is to happen.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline }
            | State::Failing { deadline }
            | State::Draining { deadline } => Some(deadline),
            State::Ready { silent_at } => silent_at,
            State::Blocked { until } | State::Backoff { until } => Some(until),
            State::Pending | State::Killed | State::Ended => None,
        }
    }

    /// It has become ready, and nothing else since; one that is blocked may still take heart.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. } | State::Blocked { .. })
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
        self.state = match self.state {
            State::Starting { .. } => State::Starting {
                deadline: later(now, self.rules.ready_timeout),
            },
            State::Ready { .. } | State::Blocked { .. } => State::Ready {
                silent_at: self.silent_at(now),
            },
            State::Failing { .. } => State::Failing {
                deadline: self.killed_at(now),
            },
            State::Draining { .. } => State::Draining {
                deadline: self.killed_at(now),
            },
            State::Backoff { .. } => State::Backoff { until: now },
            state @ (State::Pending | State::Killed | State::Ended) => state,
        };
    }

    /// Whether this end is one without a failure, and what is told of it.
    pub(super) fn classify_exit(&self, status: ExitStatus) -> (bool, String) {
        let name = &self.rules.name;
        match self.state {
            State::Pending | State::Starting { .. } => {
                (false, format!("{name} {status} before it was ready"))
            }
            State::Ready { .. } | State::Blocked { .. } => {
                (status.is_clean(), format!("{name} {status}"))
            }
            State::Draining { .. } if status.is_clean_stop() => (true, format!("{name} stopped")),
            State::Failing { .. }
            | State::Draining { .. }
            | State::Killed
            | State::Backoff { .. }
            | State::Ended => (false, format!("{name} {status}")),
        }
    }
}

impl State {
    /// The word of a status table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "waiting",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Blocked { .. } => "blocked",
            Self::Failing { .. } => "failing",
            Self::Draining { .. } => "stopping",
            Self::Killed => "killed",
            Self::Backoff { .. } => "resting",
            Self::Ended => "gone",
        }
    }
}
