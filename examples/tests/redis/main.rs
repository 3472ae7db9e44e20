//! The documented group on a private Redis, and with its queues on a private RabbitMQ or Kafka: real processes, real servers, and the
//! real Python package beside them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../shared/running.rs"]
mod running;

mod crashes;
#[cfg(feature = "kafka")]
mod kafka;
mod load;
mod mixed;
mod outage;
mod python;
mod rabbitmq;
mod scene;
mod strange;

use std::time::Duration;

use running::{Group, Launcher};
use rustix::process::Signal;

use crate::scene::scene;

microagent_testing::needs! {
    redis {
        fn the_documented_group_runs_on_redis_and_ends_with_ctrl_c,
    }
}

pub(crate) const START: Duration = Duration::from_secs(20);
/// The settings' grace is 30 s; nothing here takes that long.
pub(crate) const STOP: Duration = Duration::from_secs(10);

fn the_documented_group_runs_on_redis_and_ends_with_ctrl_c() {
    let scene = scene();
    for launcher in [Launcher::Examples, Launcher::Marun] {
        let mut group = Group::start(scene.group(launcher));
        group.wait_for_line("Run periodic task", START);
        group.wait_for_line("Catch signal", START);
        group.wait_for_line("Get value = {\"CommentAgent.example_rpc_handler\":", START);
        group.wait_for_line("Catch emailer {\"text\":\"Comment\"", START);
        end(&mut group, ["comment_agent", "email_agent", "user_agent"]);
    }
    assert_eq!(scene.in_flight(), 0, "mails that nobody holds any more");
}

/// Ctrl-C: the group of these agents ends well, and none of its processes is left.
pub(crate) fn end(group: &mut Group, expected: [&str; 3]) {
    let agents = group.agents();
    let mut names: Vec<_> = agents.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected, "one process per agent: {}", group.log());
    group.signal(Signal::INT);
    assert_eq!(group.wait_for_end(STOP).code(), Some(0), "{}", group.log());
    running::assert_gone(agents.values().copied(), Duration::ZERO);
    for agent in expected {
        let stopped = |line: &str| line.starts_with(agent) && line.contains("agent has stopped");
        assert!(
            group.lines().any(stopped),
            "{agent} did not end well: {}",
            group.log()
        );
    }
}
