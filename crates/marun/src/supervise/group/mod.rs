//! The life of a deployment group as a pure state machine: what happened goes in, what to do comes out.
//!
//! ```text
//! Waiting → Starting → Ready ⇄ Blocked → Draining → Killed → Gone
//!    ↑          ↓        ↓        ↓                   ↓
//!    └─────── Failing ───┴────────┴→ Killed ────→ Resting
//! ```
//! A member's process may end at any stage. Then `restart.rs` decides whether the member gets a new one or takes the
//! group along, and `health.rs` what follows its silence. This file touches no process and reads no clock.

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

/// An agent's own drain ends at its grace; this much longer may it take to hand back what it did not finish.
const KILL_MARGIN: Duration = Duration::from_millis(500);

/// A Ctrl-C forces only so long after the first request: wrappers relay a signal that the terminal has sent as well.
const FORCE_AFTER: Duration = Duration::from_millis(500);

/// What the caller must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Give this member a process.
    Start(usize),
    /// Ask this member to stop: SIGTERM to its process.
    Terminate(usize),
    /// End this member now: SIGKILL to its process group.
    Kill(usize),
    /// Say this in the log.
    Log(Level, String),
    /// Say this of a member's health in the log, with the word of the stage that it is in now.
    LogHealth(Level, usize, String),
}

/// How somebody asks the launcher to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT, the Ctrl-C of a terminal.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP, the end of a terminal.
    HangUp,
}

/// Where the group as a whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Somebody is not ready, or not again.
    Starting,
    /// All are ready.
    Ready,
    /// Everyone stops or has stopped.
    Stopping,
}

/// What a status table shows of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) restarts: u32,
    pub(crate) last_end: Option<ExitStatus>,
}

/// The members and what has become of them.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// When somebody asked the launcher to stop for the first time.
    stop_requested: Option<Instant>,
    stopping: bool,
    failed: bool,
    random: fn() -> f64,
}

impl Group {
    /// A group of members that are not started yet; their index is their place in the list.
    ///
    /// `chance` gives numbers between 0 and 1, for the pauses between restarts.
    pub(crate) fn new(members: impl IntoIterator<Item = Rules>, random: fn() -> f64) -> Self {
        Self {
            members: members.into_iter().map(Member::new).collect(),
            stop_requested: None,
            stopping: false,
            failed: false,
            random,
        }
    }

    /// Its process runs.
    pub(crate) fn started(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        member.started = Some(now);
        member.enter(State::Starting {
            deadline: later(now, member.rules.ready_timeout),
        });
    }

    /// It got no process.
    pub(crate) fn not_started(&mut self, index: usize, reason: &str, now: Instant) -> Vec<Action> {
        let name = &self.members[index].rules.name;
        let mut actions = vec![error(format!("{name} cannot be started: {reason}"))];
        actions.extend(self.after_end(index, false, now));
        actions
    }

    /// It says itself why it fails; it is about to end.
    pub(crate) fn failed(&mut self, index: usize, reason: &str, now: Instant) -> Vec<Action> {
        let name = &self.members[index].rules.name;
        let mut actions = vec![error(format!("{name} failed to start: {reason}"))];
        actions.extend(self.fail_living(index, now));
        actions
    }

    /// It reports that it is ready.
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

    /// Its process is gone, and the rest of its process group with it.
    pub(crate) fn ended(&mut self, index: usize, status: ExitStatus, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let (clean, text) = member.classify_exit(status);
        member.last_end = Some(status);
        let mut actions = vec![if clean { info(text) } else { error(text) }];
        actions.extend(self.after_end(index, clean, now));
        actions
    }

    /// Somebody asks the launcher to stop. A Ctrl-C after that forces, but not at once; a repeated SIGTERM does not, because
    /// those who send it repeat themselves.
    pub(crate) fn stop(&mut self, signal: StopSignal, now: Instant) -> Vec<Action> {
        let again = self.stop_requested.is_some();
        let first = *self.stop_requested.get_or_insert(now);
        let is_late = now.saturating_duration_since(first) >= FORCE_AFTER;
        let text = match (again, signal) {
            (true, StopSignal::Interrupt) if is_late => return self.force(),
            (true, StopSignal::Interrupt) => "SIGINT: the group stops already",
            (true, StopSignal::Terminate) => "SIGTERM: the group stops already",
            (true, StopSignal::HangUp) => "SIGHUP: the group stops already",
            (false, StopSignal::Interrupt) => "SIGINT: the group stops; a second Ctrl-C kills it",
            (false, StopSignal::Terminate) => "SIGTERM: the group stops",
            (false, StopSignal::HangUp) => "SIGHUP: the group stops",
        };
        let mut actions = vec![info(text.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// Deals with the deadlines that have passed.
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

    /// The launcher itself cannot go on.
    pub(crate) fn fail(&mut self, reason: &str, now: Instant) -> Vec<Action> {
        self.failed = true;
        let mut actions = vec![error(reason.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// The next moment that [`tick`](Self::tick) is needed at.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.members.iter().filter_map(Member::deadline).min()
    }

    /// Nobody is left.
    pub(crate) fn is_over(&self) -> bool {
        self.members
            .iter()
            .all(|member| member.state == State::Ended)
    }

    /// Something went wrong on the way that no restart has healed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Where the group is.
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

    /// The longest that stopping can take.
    pub(crate) fn longest_stop(&self) -> Duration {
        let graces = self.members.iter().map(|member| member.rules.grace);
        graces.max().unwrap_or_default().saturating_add(KILL_MARGIN)
    }

    /// Every member as a status table shows it.
    pub(crate) fn status(&self) -> impl Iterator<Item = Status> {
        self.members.iter().map(|member| Status {
            name: member.rules.name.clone(),
            state: member.state.name(),
            restarts: member.restarts.total(),
            last_end: member.last_end,
        })
    }

    /// It has no process any more: what becomes of it, and of the group.
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

    /// Its process still lives, but it has failed. Whether it takes the group along is known now.
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
        let text = format!("{} {reason}: it is killed", member.rules.name);
        vec![error(text), Action::Kill(index)]
    }

    /// Asks everyone who was not asked yet; who has no process never gets one.
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
                let text = format!("SIGINT again: {} is killed", member.rules.name);
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
        0 if pause.is_zero() => format!("{name} is started again"),
        0 => format!("{name} is started again in {}", format_duration(pause)),
        _ => format!(
            "{name} is started again in {}, restart {count} of at most {} within {}",
            format_duration(pause),
            rule.max,
            format_duration(rule.within)
        ),
    }
}

fn give_up_message(member: &Member) -> String {
    let rule = member.restarts.rule();
    format!(
        "{} failed again after {} restart(s) within {}: it is given up, and the group stops",
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
