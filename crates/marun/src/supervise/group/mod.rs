//! The life of a deployment group as a pure state machine: what happened goes in, what to do comes out.
//!
//! ```text
//! Waiting → Starting → Ready → Draining → Killed → Gone
//! ```
//! A member may be gone from any stage; the first that is gone takes the group along. This file touches no
//! process and reads no clock.

use std::time::{Duration, Instant};

use tracing::Level;

use super::ending::Ending;

/// An agent's own drain ends at its grace; this much longer may it take to hand back what it did not finish.
const KILL_MARGIN: Duration = Duration::from_millis(500);

/// What the caller must do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask this member to stop: SIGTERM to its process.
    Terminate(usize),
    /// End this member now: SIGKILL to its process group.
    Kill(usize),
    /// Say this in the log.
    Tell(Level, String),
}

/// How somebody asks the launcher to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT, the Ctrl-C of a terminal.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The members and what has become of them.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    stop_asked: bool,
    failed: bool,
}

#[derive(Debug)]
struct Member {
    name: String,
    grace: Duration,
    ready_timeout: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Starting { deadline: Instant },
    Ready,
    Draining { deadline: Instant },
    Killed,
    Gone,
}

impl Group {
    /// A group of members that are not started yet.
    pub(crate) fn new() -> Self {
        Self {
            members: Vec::new(),
            stop_asked: false,
            failed: false,
        }
    }

    /// Adds a member; its index is the number of those before it.
    pub(crate) fn add(&mut self, name: &str, grace: Duration, ready_timeout: Duration) {
        self.members.push(Member {
            name: name.to_owned(),
            grace,
            ready_timeout,
            stage: Stage::Waiting,
        });
    }

    /// Its process runs.
    pub(crate) fn started(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        member.stage = Stage::Starting {
            deadline: now + member.ready_timeout,
        };
    }

    /// It could not be started, or says itself why it fails: the group stops.
    pub(crate) fn failed_to_start(&mut self, index: usize, why: &str, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let mut actions = vec![error(format!("{} failed to start: {why}", member.name))];
        if member.stage == Stage::Waiting {
            member.stage = Stage::Gone;
        }
        self.failed = true;
        actions.extend(self.drain_all(now));
        actions
    }

    /// It reports that it is ready.
    pub(crate) fn ready(&mut self, index: usize) -> Vec<Action> {
        let member = &mut self.members[index];
        if !matches!(member.stage, Stage::Starting { .. }) {
            return Vec::new();
        }
        member.stage = Stage::Ready;
        let mut actions = vec![info(format!("{} is ready", member.name))];
        if self
            .members
            .iter()
            .all(|member| member.stage == Stage::Ready)
        {
            actions.push(info(format!(
                "all agents are ready: {}",
                self.members.len()
            )));
        }
        actions
    }

    /// Its process is gone, and the rest of its process group with it.
    pub(crate) fn ended(&mut self, index: usize, ending: Ending, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let stage = std::mem::replace(&mut member.stage, Stage::Gone);
        let name = &member.name;
        let (clean, text) = match stage {
            Stage::Waiting | Stage::Starting { .. } => {
                (false, format!("{name} {ending} before it was ready"))
            }
            Stage::Ready => (ending.is_clean(), format!("{name} {ending}")),
            Stage::Draining { .. } if ending.is_clean_stop() => (true, format!("{name} stopped")),
            Stage::Draining { .. } | Stage::Killed | Stage::Gone => {
                (false, format!("{name} {ending}"))
            }
        };
        self.failed |= !clean;
        let mut actions = vec![if clean { info(text) } else { error(text) }];
        actions.extend(self.drain_all(now));
        actions
    }

    /// Somebody asks the launcher to stop. A Ctrl-C after that forces; a repeated SIGTERM does not, because those who send
    /// it repeat themselves.
    pub(crate) fn stop(&mut self, asked: StopSignal, now: Instant) -> Vec<Action> {
        let again = std::mem::replace(&mut self.stop_asked, true);
        let text = match (again, asked) {
            (true, StopSignal::Interrupt) => return self.force(),
            (true, StopSignal::Terminate) => "SIGTERM again: the group stops already",
            (false, StopSignal::Interrupt) => "SIGINT: the group stops; a second Ctrl-C kills it",
            (false, StopSignal::Terminate) => "SIGTERM: the group stops",
        };
        let mut actions = vec![info(text.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// Deals with the deadlines that have passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut late_start = false;
        for (index, member) in self.members.iter_mut().enumerate() {
            let name = &member.name;
            match member.stage {
                Stage::Starting { deadline } if deadline <= now => {
                    let limit = humantime::format_duration(member.ready_timeout);
                    actions.push(error(format!("{name} was not ready within {limit}")));
                    late_start = true;
                }
                Stage::Draining { deadline } if deadline <= now => {
                    let grace = humantime::format_duration(member.grace);
                    actions.push(error(format!(
                        "{name} did not stop within its grace of {grace}: it is killed"
                    )));
                    actions.push(Action::Kill(index));
                    member.stage = Stage::Killed;
                    self.failed = true;
                }
                _ => {}
            }
        }
        if late_start {
            self.failed = true;
            actions.extend(self.drain_all(now));
        }
        actions
    }

    /// The launcher itself cannot go on.
    pub(crate) fn fail(&mut self, why: &str, now: Instant) -> Vec<Action> {
        self.failed = true;
        let mut actions = vec![error(why.to_owned())];
        actions.extend(self.drain_all(now));
        actions
    }

    /// The next moment that [`tick`](Self::tick) is needed at.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deadlines = self.members.iter().filter_map(|member| match member.stage {
            Stage::Starting { deadline } | Stage::Draining { deadline } => Some(deadline),
            _ => None,
        });
        deadlines.min()
    }

    /// Nobody is left.
    pub(crate) fn is_over(&self) -> bool {
        self.members
            .iter()
            .all(|member| member.stage == Stage::Gone)
    }

    /// Something went wrong on the way.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Asks everyone who was not asked yet; who was not started never will be.
    fn drain_all(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            match member.stage {
                Stage::Waiting => member.stage = Stage::Gone,
                Stage::Starting { .. } | Stage::Ready => {
                    let deadline = now + member.grace + KILL_MARGIN;
                    member.stage = Stage::Draining { deadline };
                    actions.push(Action::Terminate(index));
                }
                Stage::Draining { .. } | Stage::Killed | Stage::Gone => {}
            }
        }
        actions
    }

    fn force(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            if !matches!(member.stage, Stage::Gone | Stage::Killed) {
                let text = format!("SIGINT again: {} is killed", member.name);
                actions.push(Action::Tell(Level::WARN, text));
                actions.push(Action::Kill(index));
                member.stage = Stage::Killed;
                self.failed = true;
            }
        }
        actions
    }
}

fn info(text: String) -> Action {
    Action::Tell(Level::INFO, text)
}

fn error(text: String) -> Action {
    Action::Tell(Level::ERROR, text)
}

#[cfg(test)]
mod tests;
