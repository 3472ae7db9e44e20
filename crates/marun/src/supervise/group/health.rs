//! Signs of life: who gives none is blocked, and is killed where it goes on so. It decides nothing about those that end.

use std::time::Instant;

use humantime::format_duration;
use tracing::Level;

use super::{Action, Group, Member, State, later};

impl Group {
    /// It gives a sign of life.
    pub(crate) fn alive(&mut self, index: usize, now: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let was_blocked = match member.state {
            State::Ready { .. } => false,
            State::Blocked { .. } => true,
            _ => return Vec::new(),
        };
        member.enter(State::Ready {
            silent_at: member.silent_at(now),
        });
        if !was_blocked {
            return Vec::new();
        }
        let text = format!("{} gives signs of life again", member.rules.name);
        vec![Action::LogHealth(Level::INFO, index, text)]
    }

    /// Its output waits to be written, and so may the member: the time in which somebody does not read the log is not its own.
    pub(crate) fn output_blocked(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        if matches!(
            member.state,
            State::Starting { .. } | State::Ready { .. } | State::Blocked { .. }
        ) {
            member.grant_again(now);
        }
    }

    /// The names of those that give no sign of life.
    pub(crate) fn blocked_names(&self) -> Vec<&str> {
        let is_blocked = |member: &&Member| matches!(member.state, State::Blocked { .. });
        let blocked = self.members.iter().filter(is_blocked);
        blocked.map(|member| member.rules.name.as_str()).collect()
    }

    /// The time is over in which it had to give one.
    pub(super) fn silent(&mut self, index: usize, deadline: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        if matches!(member.state, State::Ready { .. }) {
            return self.blocked(index, deadline);
        }
        let limit = format_duration(member.rules.watchdog.unwrap_or_default());
        let reason = format!("gave no sign of life for {limit}, its runtime is blocked");
        self.kill(index, &reason)
    }

    fn blocked(&mut self, index: usize, since: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        let left = member.rules.watchdog.unwrap_or_default() / 2;
        // Not `enter`: silence is not an event of the member.
        member.state = State::Blocked {
            until: later(since, left),
        };
        let name = &member.rules.name;
        let left = format_duration(left);
        let text =
            format!("{name} gives no sign of life, its runtime is blocked: it is killed in {left}");
        vec![Action::LogHealth(Level::WARN, index, text)]
    }
}
