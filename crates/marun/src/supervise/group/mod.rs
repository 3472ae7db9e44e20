//! The state machine of a deployment group. Its methods take events and return actions; it touches
//! no process and reads no clock.
//!
//! ```text
//! Pending → Starting → Ready ⇄ Blocked → Draining → Killed → Ended
//!    ↑          ↓        ↓        ↓                   ↓
//!    └─────── Failing ───┴────────┴→ Killed ────→ Backoff
//! ```
//! A member's process may end in any state. `restart.rs` then decides whether the member is
//! restarted or the group stops. `health.rs` handles heartbeats.

mod health;
mod member;
mod restart;

use std::time::{Duration, Instant};

use humantime::format_duration;
use tracing::Level;

pub(crate) use self::member::Rules;
use self::{
    member::{Member, State},
    restart::Decision,
};
use super::{
    exit_status::ExitStatus,
    pause::{LATE, later},
};

/// The time after its grace in which a member may return unfinished messages before it is killed.
const KILL_MARGIN: Duration = Duration::from_millis(500);

/// A second Ctrl-C kills the members only this long after the first request, because wrappers relay
/// signals that the terminal has sent as well.
const FORCE_AFTER: Duration = Duration::from_millis(500);

/// An action that the caller must execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the process of this member.
    Start(usize),
    /// Send SIGTERM to the process of this member.
    Terminate(usize),
    /// Send SIGKILL to the process group of this member.
    Kill(usize),
    /// Log this line.
    Log(Level, String),
    /// Log this line about the health of a member, with its state as a field.
    LogHealth(Level, usize, String),
}

/// The signal with which the launcher is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT, the Ctrl-C of a terminal.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP, the end of a terminal.
    HangUp,
}

/// The state of the group as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// At least one member is not ready, or not ready again.
    Starting,
    /// All members are ready.
    Ready,
    /// All members are stopping or have ended.
    Stopping,
}

/// The status of a member, for the status table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) restarts: u32,
    pub(crate) last_end: Option<ExitStatus>,
    /// The time at which its process was started last.
    pub(crate) started: Option<Instant>,
}

/// The members and their states.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// The time of the first request to stop.
    stop_requested: Option<Instant>,
    stopping: bool,
    failed: bool,
    random: fn() -> f64,
}

impl Group {
    /// Creates a group of members that are not started. The index of a member is its position in
    /// the list.
    ///
    /// `random` returns numbers between 0 and 1, for the jitter of restart pauses.
    pub(crate) fn new(members: impl IntoIterator<Item = Rules>, random: fn() -> f64) -> Self {
        Self {
            members: members.into_iter().map(Member::new).collect(),
            stop_requested: None,
            stopping: false,
            failed: false,
            random,
        }
    }

    /// Handles the start of a member's process.
    pub(crate) fn started(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        member.started = Some(now);
        member.enter(State::Starting {
            deadline: later(now, member.rules.ready_timeout),
        });
    }

    /// Handles the failure to start a member's process.
    pub(crate) fn not_started(&mut self, index: usize, reason: &str, now: Instant) -> Vec<Action> {
        let name = &self.members[index].rules.name;
        let mut actions = vec![error(format!("cannot start {name}: {reason}"))];
        actions.extend(self.after_end(index, false, now));
        actions
    }

    /// Handles a report that the member cannot start. Its process is about to end.
    pub(crate) fn failed(&mut self, index: usize, reason: &str, now: Instant) -> Vec<Action> {
        let name = &self.members[index].rules.name;
        let mut actions = vec![error(format!("{name} failed to start: {reason}"))];
        actions.extend(self.fail_living(index, now));
        actions
    }

    /// Handles a report that the member is ready.
    pub(crate) fn ready(&mut self, index: usize, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        if !matches!(member.state, State::Starting { .. }) {
            return Vec::new();
        }
        member.enter(State::Ready {
            silent_at: member.silent_at(now),
        });
        let mut actions = vec![info(format!("{} is ready", member.rules.name))];
        if self.phase() == Phase::Ready {
            let count = self.members.len();
            actions.push(info(format!("all agents are ready: {count}")));
        }
        actions
    }

    /// Handles the end of a member's process, and of its process group.
    pub(crate) fn ended(&mut self, index: usize, status: ExitStatus, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let (clean, text) = member.classify_exit(status);
        member.last_end = Some(status);
        let mut actions = vec![if clean { info(text) } else { error(text) }];
        actions.extend(self.after_end(index, clean, now));
        actions
    }

    /// Handles a request to stop. A second Ctrl-C kills the members, unless it comes immediately
    /// after the first request. A repeated SIGTERM does not, because service managers and wrappers
    /// send it repeatedly.
    pub(crate) fn stop(&mut self, signal: StopSignal, now: Instant) -> Vec<Action> {
        let again = self.stop_requested.is_some();
        let first = *self.stop_requested.get_or_insert(now);
        let is_late = now.saturating_duration_since(first) >= FORCE_AFTER;
        let text = match (again, signal) {
            (true, StopSignal::Interrupt) if is_late => return self.force(),
            (true, StopSignal::Interrupt) => "SIGINT received; already stopping",
            (true, StopSignal::Terminate) => "SIGTERM received; already stopping",
            (true, StopSignal::HangUp) => "SIGHUP received; already stopping",
            (false, StopSignal::Interrupt) => {
                "SIGINT received; stopping; a second Ctrl-C kills all agents"
            }
            (false, StopSignal::Terminate) => "SIGTERM received; stopping",
            (false, StopSignal::HangUp) => "SIGHUP received; stopping",
        };
        let mut actions = vec![info(text.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// Handles the deadlines that have passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for index in 0..self.members.len() {
            let deadline = self.members[index].deadline();
            if let Some(deadline) = deadline.filter(|deadline| *deadline <= now) {
                let is_late = now.saturating_duration_since(deadline) > LATE;
                if !(is_late && self.members[index].grant_after_pause(now)) {
                    actions.extend(self.tick_one(index, deadline, now));
                }
            }
        }
        actions
    }

    /// Stops the group because of a failure.
    pub(crate) fn fail(&mut self, reason: &str, now: Instant) -> Vec<Action> {
        self.failed = true;
        let mut actions = vec![error(reason.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// Returns when [`tick`](Self::tick) must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.members.iter().filter_map(Member::deadline).min()
    }

    /// Returns whether all members have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.members
            .iter()
            .all(|member| member.state == State::Ended)
    }

    /// Returns whether there was a failure that did not lead to a restart.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Returns the state of the group as a whole.
    pub(crate) fn phase(&self) -> Phase {
        let mut members = self.members.iter();
        if self.stopping {
            Phase::Stopping
        } else if members.all(Member::is_ready) {
            Phase::Ready
        } else {
            Phase::Starting
        }
    }

    /// Returns the longest time that stopping can take.
    pub(crate) fn longest_stop(&self) -> Duration {
        let graces = self.members.iter().map(|member| member.rules.grace);
        graces.max().unwrap_or_default().saturating_add(KILL_MARGIN)
    }

    /// Returns the status of every member.
    pub(crate) fn status(&self) -> impl Iterator<Item = Status> {
        self.members.iter().map(|member| Status {
            name: member.rules.name.clone(),
            state: member.state.name(),
            restarts: member.restarts.total(),
            last_end: member.last_end,
            started: member.started,
        })
    }

    /// Restarts a member whose process has ended, or stops the group.
    fn after_end(&mut self, index: usize, clean: bool, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        member.enter(State::Ended);
        let run_time = |started| now.saturating_duration_since(started);
        let run_time = member.started.map_or(Duration::ZERO, run_time);
        let next = match (self.stopping, clean) {
            (true, _) => Decision::EndGroup,
            (false, true) => member.restarts.after_clean_end(run_time),
            (false, false) => member.restarts.after_failure(now, (self.random)()),
        };
        match next {
            Decision::Restart { pause, count } => {
                member.enter(State::Backoff {
                    until: later(now, pause),
                });
                vec![Action::Log(
                    Level::WARN,
                    restart_message(member, pause, count),
                )]
            }
            Decision::GiveUp => {
                let text = give_up_message(member);
                self.fail(&text, now)
            }
            Decision::EndGroup => {
                self.failed |= !clean;
                self.drain_all(now)
            }
        }
    }

    /// Stops a member that has failed but whose process still runs, and the group if the member is
    /// not restarted.
    fn fail_living(&mut self, index: usize, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        if !self.stopping && member.restarts.restarts_after_failure() {
            let deadline = member.killed_at(now);
            member.enter(State::Failing { deadline });
            return vec![Action::Terminate(index)];
        }
        self.failed = true;
        self.drain_all(now)
    }

    fn tick_one(&mut self, index: usize, deadline: Instant, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let name = &member.rules.name;
        match member.state {
            State::Backoff { .. } => {
                member.enter(State::Pending);
                vec![Action::Start(index)]
            }
            State::Starting { .. } => {
                let limit = format_duration(member.rules.ready_timeout);
                let mut actions = vec![error(format!("{name} was not ready within {limit}"))];
                actions.extend(self.fail_living(index, now));
                actions
            }
            State::Ready { .. } | State::Blocked { .. } => self.silent(index, deadline),
            State::Failing { .. } | State::Draining { .. } => {
                let grace = format_duration(member.rules.grace);
                self.kill(index, &format!("did not stop within its grace of {grace}"))
            }
            State::Pending | State::Killed | State::Ended => Vec::new(),
        }
    }

    fn kill(&mut self, index: usize, reason: &str) -> Vec<Action> {
        let member = &mut self.members[index];
        member.enter(State::Killed);
        let text = format!("{} {reason}; killing it", member.rules.name);
        vec![error(text), Action::Kill(index)]
    }

    /// Asks all members to stop that were not asked before. Members without a process are not
    /// started again.
    fn drain_all(&mut self, now: Instant) -> Vec<Action> {
        self.stopping = true;
        let mut actions = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            match member.state {
                State::Pending | State::Backoff { .. } => member.enter(State::Ended),
                State::Starting { .. } | State::Ready { .. } | State::Blocked { .. } => {
                    let deadline = member.killed_at(now);
                    member.enter(State::Draining { deadline });
                    actions.push(Action::Terminate(index));
                }
                State::Failing { .. } | State::Draining { .. } | State::Killed | State::Ended => {}
            }
        }
        actions
    }

    fn force(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if !matches!(member.state, State::Ended | State::Killed) {
                let text = format!("second SIGINT received; killing {}", member.rules.name);
                actions.push(Action::Log(Level::WARN, text));
                actions.push(Action::Kill(index));
                member.enter(State::Killed);
                self.failed = true;
            }
        }
        actions
    }
}

fn restart_message(member: &Member, pause: Duration, count: u32) -> String {
    let name = &member.rules.name;
    let below_millis = Duration::from_nanos(u64::from(pause.subsec_nanos() % 1_000_000));
    let pause = pause - below_millis;
    let rule = member.restarts.rule();
    match count {
        0 if pause.is_zero() => format!("restarting {name}"),
        0 => format!("restarting {name} in {}", format_duration(pause)),
        _ => format!(
            "restarting {name} in {} (restart {count} of at most {} within {})",
            format_duration(pause),
            rule.max,
            format_duration(rule.within)
        ),
    }
}

fn give_up_message(member: &Member) -> String {
    let rule = member.restarts.rule();
    format!(
        "{} failed again after {} restart(s) within {}; giving up and stopping the group",
        member.rules.name,
        rule.max,
        format_duration(rule.within)
    )
}

fn info(text: String) -> Action {
    Action::Log(Level::INFO, text)
}

fn error(text: String) -> Action {
    Action::Log(Level::ERROR, text)
}

#[cfg(test)]
mod tests;
