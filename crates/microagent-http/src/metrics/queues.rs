//! The metrics of queues. Agents that consume one queue report the same messages, so a queue is counted once.

use std::fmt;

use microagent_core::status::{QueueStatus, newest_queues};

use super::{Families, statuses};
use crate::report::AgentReport;

pub(super) fn write(to: &mut Families<'_>, reports: &[AgentReport]) -> fmt::Result {
    let queues = newest_queues(statuses(reports));
    let messages = queues.iter().flat_map(|((name, broker), queue)| {
        states(queue).into_iter().filter_map(move |(state, count)| {
            let labels = vec![("broker", *broker), ("queue", *name), ("state", state)];
            Some((labels, count?))
        })
    });
    to.gauge(
        "microagent_queue_messages",
        "Messages of a consumed queue, by state, as the broker answered last.",
        messages,
    )?;
    to.gauge(
        "microagent_queue_oldest_message_age_seconds",
        "The time that the oldest waiting message has been in its queue.",
        queues.iter().filter_map(|((name, broker), queue)| {
            let labels = vec![("broker", *broker), ("queue", *name)];
            Some((labels, queue.depth?.oldest_age?.as_secs_f64()))
        }),
    )
}

fn states(queue: &QueueStatus) -> [(&'static str, Option<u64>); 4] {
    let depth = queue.depth.unwrap_or_default();
    [
        ("waiting", depth.waiting),
        ("in_flight", depth.in_flight),
        ("delayed", depth.delayed),
        ("dead", queue.dead),
    ]
}
