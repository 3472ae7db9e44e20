//! Heartbeats: a member that sends none is blocked, and is killed if it stays blocked.

use std::time::Instant;

use humantime::format_duration;
use tracing::Level;

use super::{Action, Group, Member, State, later};

impl Group {
    /// Handles a heartbeat of a member.
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
        let text = format!("{} sends heartbeats again", member.rules.name);
        vec![Action::LogHealth(Level::INFO, index, text)]
    }

    /// Handles that output of a member waits to be written. The member may wait too, and this time
    /// must not count.
    pub(crate) fn output_blocked(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        if matches!(
            member.state,
            State::Starting { .. } | State::Ready { .. } | State::Blocked { .. }
        ) {
            member.grant_again(now);
        }
    }

    /// Returns the names of the blocked members.
    pub(crate) fn blocked_names(&self) -> Vec<&str> {
        let is_blocked = |member: &&Member| matches!(member.state, State::Blocked { .. });
        let blocked = self.members.iter().filter(is_blocked);
        blocked.map(|member| member.rules.name.as_str()).collect()
    }

    /// Handles a member that has sent no heartbeat until its deadline.
    pub(super) fn silent(&mut self, index: usize, deadline: Instant) -> Vec<Action> {
        let member = &mut self.members[index];
        if matches!(member.state, State::Ready { .. }) {
            return self.blocked(index, deadline);
        }
        let limit = format_duration(member.rules.watchdog.unwrap_or_default());
        let reason = format!("sent no heartbeat for {limit}: its runtime is blocked");
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
        let text = format!(
            "{name} sent no heartbeat for {left}: its runtime is blocked; killing it in {left}"
        );
        vec![Action::LogHealth(Level::WARN, index, text)]
    }
}
