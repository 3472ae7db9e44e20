//! One member of the group: its rules and its state.

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

/// The time limits and the restart policy of a member.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The name in the group.
    pub(crate) name: String,
    /// The time in which it must stop.
    pub(crate) grace: Duration,
    /// The time in which it must become ready.
    pub(crate) ready_timeout: Duration,
    /// The longest time without a heartbeat when it is ready; `None` for a member that sends none.
    pub(crate) watchdog: Option<Duration>,
    /// The restart policy.
    pub(crate) restart: Restart,
}

/// A member and its state.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) rules: Rules,
    pub(super) state: State,
    pub(super) restarts: Restarts,
    /// The time at which its process was started.
    pub(super) started: Option<Instant>,
    pub(super) last_end: Option<ExitStatus>,
    /// The number of times that the time of this state was granted again after a pause of the
    /// launcher.
    grants: u32,
}

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The process is about to be started.
    Pending,
    /// The process runs, and must be ready by `deadline`.
    Starting { deadline: Instant },
    /// It is ready. Without a heartbeat until `silent_at` it is blocked.
    Ready { silent_at: Option<Instant> },
    /// It has sent no heartbeat, and is killed at `until`.
    Blocked { until: Instant },
    /// It has failed and will be restarted. Its process must end by `deadline`.
    Failing { deadline: Instant },
    /// It was asked to stop. Its process must end by `deadline`.
    Draining { deadline: Instant },
    /// It was sent SIGKILL.
    Killed,
    /// Its process has ended. A new one is started at `until`.
    Backoff { until: Instant },
    /// Its process has ended, and no new one is started.
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

    /// Changes the state after an event of the member.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.grants = 0;
    }

    /// Returns the deadline of the state.
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

    /// Returns whether it is ready. A blocked member counts as ready, because it may recover.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. } | State::Blocked { .. })
    }

    /// Returns when it counts as blocked without a further heartbeat: after half of its watchdog
    /// time.
    pub(super) fn silent_at(&self, now: Instant) -> Option<Instant> {
        self.rules.watchdog.map(|watchdog| later(now, watchdog / 2))
    }

    /// Returns when it is killed if it is asked to stop now.
    pub(super) fn killed_at(&self, now: Instant) -> Instant {
        later(now, self.rules.grace.saturating_add(KILL_MARGIN))
    }

    /// Grants the member the time of its state again after a pause of the launcher; returns false
    /// if the launcher has done so [`MOST_GRANTS`] times already, without an event of the member
    /// between them.
    pub(super) fn grant_after_pause(&mut self, now: Instant) -> bool {
        if self.grants == MOST_GRANTS {
            return false;
        }
        self.grants += 1;
        self.grant_again(now);
        true
    }

    /// Grants the member the time of its state again: the launcher could not receive its reports,
    /// and may have been paused together with it. A pause before a restart is over.
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

    /// Returns whether this end of its process is not a failure, and the log line.
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
    /// Returns the name of the state, for the status table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Blocked { .. } => "blocked",
            Self::Failing { .. } => "failing",
            Self::Draining { .. } => "stopping",
            Self::Killed => "killed",
            Self::Backoff { .. } => "backoff",
            Self::Ended => "ended",
        }
    }
}
